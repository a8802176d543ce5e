/** Numbers that came over the network become ids: out of range is the sender's fault (DecodeError), not a bug here. */
import { DecodeError } from '../base/coding.js';
import { NodeId, ReplicaId, ShardId, Timestamp } from '../base/ids.js';

export function decodeNodeId(value: number): NodeId {
  if (value < 1) throw new DecodeError('node id 0');
  return NodeId(value);
}

export function decodeReplicaId(value: number): ReplicaId {
  if (value < 1) throw new DecodeError('replica id 0');
  return ReplicaId(value);
}

/** Every whole number is a shard id; the reader saw to it that this is one. */
export function decodeShardId(value: number): ShardId {
  return ShardId(value);
}

export function decodeTimestamp(value: number): Timestamp {
  return Timestamp(value);
}

/** Of a `oneof` that must be set. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new DecodeError(`${what} is missing`);
  return value;
}
