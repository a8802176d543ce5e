/** What a shard is: its key range, its epoch and its replicas. Kept in the shard's own state and in the shard map. */
import { assert } from '../base/assert.js';
import { compareBytes, copyBytes } from '../base/bytes.js';
import { ByteReader, ByteWriter, DecodeError } from '../base/coding.js';
import { NodeId, ReplicaId, ShardId } from '../base/ids.js';
import type { Operation } from '../mvcc/operations.js';

/**
 * Changes with every change of membership or range. A request that was routed by another range epoch is refused; who
 * belongs to the group is Raft's concern, and no operation depends on it.
 */
export interface ShardEpoch {
  readonly membership: number;
  readonly range: number;
}

export interface ReplicaDescriptor {
  readonly replica: ReplicaId;
  readonly node: NodeId;
  /**
   * The data directory that it is in, and in no other ever. Undefined of replicas that a shard was formed with: they are in the first
   * directory of their node.
   */
  readonly storeId?: string | undefined;
}

export interface ShardDescriptor {
  readonly shard: ShardId;
  /** First key; empty is the beginning of the key space. */
  readonly start: Uint8Array;
  /** First key after the shard; empty is the end of the key space. */
  readonly end: Uint8Array;
  readonly epoch: ShardEpoch;
  /** Sorted by replica id. */
  readonly replicas: readonly ReplicaDescriptor[];
  /** In the shard map: those of them that do not vote; absent is none. In the shard's own state the configuration says it. */
  readonly learners?: readonly ReplicaId[];
}

export function containsKey(descriptor: ShardDescriptor, key: Uint8Array): boolean {
  return (
    compareBytes(descriptor.start, key) <= 0 && (descriptor.end.length === 0 || compareBytes(key, descriptor.end) < 0)
  );
}

/** The first key of the operation that is not in the shard. */
export function strayKey(descriptor: ShardDescriptor, operation: Operation): Uint8Array | undefined {
  if (operation.type !== 'atomicBatch') return containsKey(descriptor, operation.key) ? undefined : operation.key;
  return operation.operations.find(({ key }) => !containsKey(descriptor, key))?.key;
}

export function replicaOn(descriptor: ShardDescriptor, node: NodeId): ReplicaId | undefined {
  return descriptor.replicas.find((replica) => replica.node === node)?.replica;
}

export function nodeOf(descriptor: ShardDescriptor, replica: ReplicaId): NodeId | undefined {
  return descriptorOf(descriptor, replica)?.node;
}

export function descriptorOf({ replicas }: ShardDescriptor, replica: ReplicaId): ReplicaDescriptor | undefined {
  return replicas.find((candidate) => candidate.replica === replica);
}

const formatVersion = 4;
/** With learners, after the replicas. */
const learnersVersion = 6;
/** As it was before replicas were bound to data directories: without `storeId`. */
const unboundVersion = 1;

/** Byte-exact form: docs/formats/descriptor.md. */
export function encodeDescriptor(descriptor: ShardDescriptor): Uint8Array {
  const { learners = [] } = descriptor;
  const writer = new ByteWriter();
  writer
    .u8(learners.length > 0 ? learnersVersion : formatVersion)
    .varint(descriptor.shard)
    .bytes(descriptor.start)
    .bytes(descriptor.end);
  writer.varint(descriptor.epoch.membership).varint(descriptor.epoch.range).varint(descriptor.replicas.length);
  for (const { replica, node, storeId = '' } of descriptor.replicas) writer.varint(replica).varint(node).text(storeId);
  if (learners.length > 0) writer.varint(learners.length);
  for (const replica of learners) writer.varint(replica);
  return writer.finish();
}

/** @param storeId empty: none */
export function boundTo(replica: ReplicaDescriptor, storeId: string): ReplicaDescriptor {
  return storeId === '' ? replica : { ...replica, storeId };
}

/** As the shard map has it, whose learners are these. */
export function withLearners(descriptor: ShardDescriptor, learners: readonly ReplicaId[]): ShardDescriptor {
  const { shard, start, end, epoch, replicas } = descriptor;
  const common = { shard, start, end, epoch, replicas };
  return learners.length === 0 ? common : { ...common, learners };
}

export function decodeDescriptor(bytes: Uint8Array): ShardDescriptor {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== formatVersion && version !== learnersVersion && version !== unboundVersion)
    throw new DecodeError(`shard descriptor of format ${version}`);
  const shard = ShardId(reader.varint());
  const start = copyBytes(reader.bytes());
  const end = copyBytes(reader.bytes());
  const epoch = { membership: reader.varint(), range: reader.varint() };
  const count = reader.varint();
  const replicas: ReplicaDescriptor[] = [];
  for (let i = 0; i < count; i++) {
    const replica = { replica: ReplicaId(reader.varint()), node: NodeId(reader.varint()) };
    replicas.push(version === unboundVersion ? replica : boundTo(replica, reader.text()));
  }
  const learners: ReplicaId[] = [];
  const learnerCount = version === learnersVersion ? reader.varint() : 0;
  for (let i = 0; i < learnerCount; i++) learners.push(ReplicaId(reader.varint()));
  reader.end();
  assert(end.length === 0 || compareBytes(start, end) < 0, `shard ${shard} has an empty range`);
  return withLearners({ shard, start, end, epoch, replicas }, learners);
}
