/** The first shard map of a cluster: a pure function of its configuration. */
import { assert } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { ReplicaId, ShardId, placementShardId } from '../base/ids.js';
import type { NodeId } from '../base/ids.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { assignShards } from './ring.js';

/** Voters of the placement group, at most. */
const placementReplicasMax = 5;

export interface FirstMap {
  readonly nodes: readonly NodeId[];
  readonly shardCount: number;
  readonly replicationFactor: number;
}

const firstEpoch = { membership: 1, range: 1 };

/** Whether the shard has the members that it was formed with: those whose replicas begin with the shard's first state. */
export function isAsFormed({ epoch }: ShardDescriptor): boolean {
  return epoch.membership === firstEpoch.membership;
}

/** The placement group as every node of the first configuration starts it; its replica ids are the node ids. */
export function placementDescriptor(nodes: readonly NodeId[]): ShardDescriptor {
  const members = [...nodes].sort((a, b) => a - b).slice(0, placementReplicasMax);
  return {
    shard: placementShardId,
    start: emptyBytes,
    end: emptyBytes,
    epoch: firstEpoch,
    replicas: members.map((node) => ({ replica: ReplicaId(node), node })),
  };
}

/** Shards 1 … n that tile the key space. */
export function firstShardMap({ nodes, shardCount, replicationFactor }: FirstMap): ShardDescriptor[] {
  assert(shardCount >= 1, 'at least one shard');
  const bounds = [emptyBytes, ...splitKeys(shardCount), emptyBytes];
  const shards = Array.from({ length: shardCount }, (_, i) => ShardId(i + 1));
  const ring = nodes.map((id) => ({ id, weight: 1 }));
  const assignment = assignShards(shards, ring, Math.min(replicationFactor, nodes.length));
  let nextReplica = 1;
  return shards.map((shard, i) => ({
    shard,
    start: bounds[i],
    end: bounds[i + 1],
    epoch: firstEpoch,
    replicas: (assignment.get(shard) ?? []).map((node) => ({ replica: ReplicaId(nextReplica++), node })),
  }));
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const splitKeyLength = 3;

/**
 * `count - 1` ascending keys that cut the key space in parts of about equal share, assuming that keys begin with
 * ASCII letters and digits, each as likely. Nothing is known of the real keys when a cluster is formed.
 */
export function splitKeys(count: number): Uint8Array[] {
  const whole = alphabet.length ** splitKeyLength;
  assert(count <= whole, `at most ${whole} shards at the start`);
  return Array.from({ length: count - 1 }, (_, i) => {
    let rest = Math.floor(((i + 1) * whole) / count);
    const key = new Uint8Array(splitKeyLength);
    for (let at = splitKeyLength - 1; at >= 0; at--) {
      key[at] = alphabet.charCodeAt(rest % alphabet.length);
      rest = Math.floor(rest / alphabet.length);
    }
    return key;
  });
}
