/** Keys and values of the placement group's state. Byte-exact form: docs/formats/placement.md. */
import { concatBytes, fromUtf8, startsWith, utf8 } from '../base/bytes.js';
import { ByteReader, ByteWriter, DecodeError } from '../base/coding.js';
import { NodeId, Timestamp } from '../base/ids.js';
import type { ShardId } from '../base/ids.js';

/** A node in the registry. */
export interface NodeRecord {
  readonly id: NodeId;
  /** Identity of the data directory that joined under this id: another one is another node (pitfall 17). */
  readonly storeId: string;
  readonly clientAddress: string;
  readonly peerAddress: string;
}

export const highWaterKey: Uint8Array = utf8('oracle/high-water');
const nodePrefix = utf8('node/');
const shardPrefix = utf8('shard/');

export function nodeKey(id: NodeId): Uint8Array {
  return concatBytes(nodePrefix, utf8(String(id)));
}

export function shardKey(id: ShardId): Uint8Array {
  return concatBytes(shardPrefix, utf8(String(id)));
}

export type PlacementKey = 'highWater' | 'node' | 'shard';

export function placementKeyType(key: Uint8Array): PlacementKey {
  if (startsWith(key, nodePrefix)) return 'node';
  if (startsWith(key, shardPrefix)) return 'shard';
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

export function encodeHighWater(highWater: Timestamp): Uint8Array {
  return new ByteWriter(8).u53(highWater).finish();
}

export function decodeHighWater(bytes: Uint8Array): Timestamp {
  const reader = new ByteReader(bytes);
  const highWater = Timestamp(reader.u53());
  reader.end();
  return highWater;
}
