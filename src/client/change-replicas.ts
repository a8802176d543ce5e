/** Which nodes are to have replicas, as calls. */
import { NodeId, ShardId } from '../base/ids.js';
import { encodeNodeRequest, encodeWantedMembers } from '../rpc/membership-codec.js';
import { adminMethods } from '../rpc/services.js';
import { invalid } from './arguments.js';
import type { CallKind } from './calls.js';

/** Ids of nodes. */
export interface ReplicaNodes {
  readonly voters: readonly number[];
  /** Get all data, and do not vote. Default: none. */
  readonly learners?: readonly number[];
}

/** Throws INVALID_ARGUMENT. */
export function changeReplicasCall(shard: number, { voters, learners = [] }: ReplicaNodes): CallKind<void> {
  const id = wholeNumber('shard', shard, 0);
  const nodes = (name: string, ids: readonly number[]): NodeId[] =>
    ids.map((node) => NodeId(wholeNumber(name, node, 1)));
  const members = { voters: nodes('voters', voters), learners: nodes('learners', learners) };
  return {
    method: adminMethods.ChangeReplicas,
    request: encodeWantedMembers({ shard: ShardId(id), members }),
    attemptMsMax: Infinity,
    changes: true,
    decode: () => undefined,
  };
}

/** Throws INVALID_ARGUMENT. */
export function nodeCall(method: 'ReplaceNode' | 'RemoveNode', node: number): CallKind<void> {
  return {
    method: adminMethods[method],
    request: encodeNodeRequest(NodeId(wholeNumber('node', node, 1))),
    attemptMsMax: Infinity,
    changes: true,
    decode: () => undefined,
  };
}

function wholeNumber(name: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw invalid(`${name}: ${value} is no whole number from ${min} on`);
}
