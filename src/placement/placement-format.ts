/** Keys and values of the placement group's state. Byte-exact form: docs/formats/placement.md. */
import { concatBytes, fromUtf8, startsWith, utf8 } from '../base/bytes.js';
import { ByteReader, ByteWriter, DecodeError } from '../base/coding.js';
import { NodeId, ShardId, Timestamp } from '../base/ids.js';

/** A node in the registry. */
export interface NodeRecord {
  readonly id: NodeId;
  /** Identity of the data directory that joined under this id: another one is another node (pitfall 17). */
  readonly storeId: string;
  readonly clientAddress: string;
  readonly peerAddress: string;
}

/**
 * A node that gets another data directory, from the decision until it has its replicas again. Its old directory is retired from the
 * beginning.
 */
export interface Replacement {
  readonly node: NodeId;
  /** Groups that it is to have a replica of again, ascending; 0 is the placement group. */
  readonly shards: readonly ShardId[];
  /** Those of them in which it is to learn, as before. */
  readonly learning: readonly ShardId[];
}

/** A replica of the shard goes to this node. */
export interface Move {
  readonly shard: ShardId;
  readonly to: NodeId;
}

/** A node that is to go, from the decision until it has no replica any more, and all that was planned has moved. */
export interface Removal {
  readonly node: NodeId;
  /** Where replicas go that have not gone yet. Of a shard the last counts: the nodes before it were given up. */
  readonly moves: readonly Move[];
  /** Shards of which the node learned: so does who gets that replica. */
  readonly learning: readonly ShardId[];
}

export function withoutGroup({ node, shards, learning }: Replacement, group: ShardId): Replacement {
  const isOther = (other: ShardId): boolean => other !== group;
  return { node, shards: shards.filter(isOther), learning: learning.filter(isOther) };
}

export function withoutShard({ node, moves, learning }: Removal, shard: ShardId): Removal {
  return { node, moves: moves.filter((move) => move.shard !== shard), learning: learning.filter((of) => of !== shard) };
}

/** One change of the state; without a value the key goes. */
export interface PlacementChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export const highWaterKey: Uint8Array = utf8('oracle/high-water');
const nodePrefix = utf8('node/');
const shardPrefix = utf8('shard/');
const retiredPrefix = utf8('retired/');
const replacementPrefix = utf8('replacement/');
const removalPrefix = utf8('removal/');

export function nodeKey(id: NodeId): Uint8Array {
  return concatBytes(nodePrefix, utf8(String(id)));
}

export function shardKey(id: ShardId): Uint8Array {
  return concatBytes(shardPrefix, utf8(String(id)));
}

/** Of a data directory that is out of use for good. Its value is the node record that it had. */
export function retiredKey(storeId: string): Uint8Array {
  return concatBytes(retiredPrefix, utf8(storeId));
}

export function replacementKey(id: NodeId): Uint8Array {
  return concatBytes(replacementPrefix, utf8(String(id)));
}

export function removalKey(id: NodeId): Uint8Array {
  return concatBytes(removalPrefix, utf8(String(id)));
}

export type PlacementKey = 'highWater' | 'node' | 'shard' | 'retired' | 'replacement' | 'removal';

export function placementKeyType(key: Uint8Array): PlacementKey {
  if (startsWith(key, nodePrefix)) return 'node';
  if (startsWith(key, shardPrefix)) return 'shard';
  if (startsWith(key, retiredPrefix)) return 'retired';
  if (startsWith(key, replacementPrefix)) return 'replacement';
  if (startsWith(key, removalPrefix)) return 'removal';
  if (fromUtf8(key) === fromUtf8(highWaterKey)) return 'highWater';
  throw new DecodeError(`unknown key ${fromUtf8(key)} in the placement group`);
}

const nodeFormat = 1;

export function encodeNodeRecord(node: NodeRecord): Uint8Array {
  const writer = new ByteWriter().u8(nodeFormat).varint(node.id);
  return writer.text(node.storeId).text(node.clientAddress).text(node.peerAddress).finish();
}

export function decodeNodeRecord(bytes: Uint8Array): NodeRecord {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== nodeFormat) throw new DecodeError(`node record of format ${format}`);
  const id = NodeId(reader.varint());
  const record = { id, storeId: reader.text(), clientAddress: reader.text(), peerAddress: reader.text() };
  reader.end();
  return record;
}

const replacementFormat = 2;
/** As it was before it was known who had learned: without `learning`. */
const votingFormat = 1;

export function encodeReplacement({ node, shards, learning }: Replacement): Uint8Array {
  const writer = new ByteWriter().u8(replacementFormat).varint(node).varint(shards.length);
  for (const shard of shards) writer.varint(shard);
  writer.varint(learning.length);
  for (const shard of learning) writer.varint(shard);
  return writer.finish();
}

export function decodeReplacement(bytes: Uint8Array): Replacement {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== replacementFormat && format !== votingFormat) throw new DecodeError(`replacement of format ${format}`);
  const node = NodeId(reader.varint());
  const shards = readShardIds(reader);
  const learning = format === replacementFormat ? readShardIds(reader) : [];
  reader.end();
  return { node, shards, learning };
}

function readShardIds(reader: ByteReader): ShardId[] {
  const count = reader.varint();
  const shards: ShardId[] = [];
  for (let i = 0; i < count; i++) shards.push(ShardId(reader.varint()));
  return shards;
}

const removalFormat = 2;
/** As it was before it said who learns: without `learning`. */
const votersRemovalFormat = 1;

export function encodeRemoval({ node, moves, learning }: Removal): Uint8Array {
  const writer = new ByteWriter().u8(removalFormat).varint(node).varint(moves.length);
  for (const { shard, to } of moves) writer.varint(shard).varint(to);
  writer.varint(learning.length);
  for (const shard of learning) writer.varint(shard);
  return writer.finish();
}

export function decodeRemoval(bytes: Uint8Array): Removal {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== removalFormat && format !== votersRemovalFormat) throw new DecodeError(`removal of format ${format}`);
  const node = NodeId(reader.varint());
  const count = reader.varint();
  const moves: Move[] = [];
  for (let i = 0; i < count; i++) moves.push({ shard: ShardId(reader.varint()), to: NodeId(reader.varint()) });
  const learning = format === removalFormat ? readShardIds(reader) : [];
  reader.end();
  return { node, moves, learning };
}

export function encodeHighWater(highWater: Timestamp): Uint8Array {
  return new ByteWriter(8).u53(highWater).finish();
}

export function decodeHighWater(bytes: Uint8Array): Timestamp {
  const reader = new ByteReader(bytes);
  const highWater = Timestamp(reader.u53());
  reader.end();
  return highWater;
}
