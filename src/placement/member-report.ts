/** What the placement group makes of the members that a shard's leader has applied. Pure. */
import { QuorateError } from '../base/errors.js';
import type { NodeId } from '../base/ids.js';
import { encodeDescriptor, withLearners, type ShardDescriptor } from '../shard/descriptor.js';
import { isGone, nodeStage } from './node-registry.js';
import {
  encodeRemoval,
  encodeReplacement,
  removalKey,
  replacementKey,
  shardKey,
  withoutGroup,
  withoutShard,
} from './placement-format.js';
import type { PlacementChange, Replacement } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

/**
 * Has the shard map say who belongs to the shard, unless it has that already, or something newer.
 *
 * @param isWanted these members are those that an operator has just wanted: plans to change them, which began while that was
 *   carried out, are struck
 * @throws QuorateError INVALID_ARGUMENT for a shard that there is not; UNAVAILABLE where `isWanted` and the members have changed
 *   since, which must be seen before they can be said to stand, or one of their nodes is gone
 */
export function membersReported(
  state: PlacementState,
  descriptor: ShardDescriptor,
  isWanted: boolean,
): readonly PlacementChange[] {
  const { shard, epoch, replicas, learners = [] } = descriptor;
  const known = state.shardMap.byId(shard);
  if (known?.epoch.range !== epoch.range) {
    throw new QuorateError('INVALID_ARGUMENT', `there is no shard ${shard} of this range`, { shard });
  }
  const newer = epoch.membership - known.epoch.membership;
  if (isWanted && newer < 0) {
    throw new QuorateError('UNAVAILABLE', `the replicas of shard ${shard} have changed meanwhile`, { shard });
  }
  const gone = replicas.find(({ node }) => isGone(state, node));
  if (isWanted && gone !== undefined) {
    const message = `node ${gone.node}, which shard ${shard} was to have a replica on, was removed meanwhile`;
    throw new QuorateError('UNAVAILABLE', message, { shard });
  }
  const plans = isWanted ? plansAfter(state, descriptor) : [];
  if (newer <= 0) return plans;
  const value = encodeDescriptor(withLearners({ ...known, epoch, replicas }, learners));
  return [{ key: shardKey(shard), value }, ...plans];
}

/**
 * A node that is being replaced comes back as what was wanted of it, if anything was: the shard would have one more. A plan of a node that
 * is being removed is struck: the target may be one of the members, or the node none. Where it is one, its plan is made anew.
 */
function plansAfter(state: PlacementState, descriptor: ShardDescriptor): readonly PlacementChange[] {
  const { shard } = descriptor;
  const replaced = [...state.replacements.values()].filter(
    ({ node, shards, learning }) =>
      shards.includes(shard) && roleIn(descriptor, node) !== (learning.includes(shard) ? 'learner' : 'voter'),
  );
  const removed = [...state.removals.values()].filter(({ moves }) => moves.some((move) => move.shard === shard));
  return [
    ...replaced.map((of) => ({ key: replacementKey(of.node), value: replacementAfter(state, of, descriptor) })),
    ...removed.map((of) => ({ key: removalKey(of.node), value: encodeRemoval(withoutShard(of, shard)) })),
  ];
}

function replacementAfter(
  state: PlacementState,
  replacement: Replacement,
  descriptor: ShardDescriptor,
): Uint8Array | undefined {
  const { node, shards } = replacement;
  const { shard } = descriptor;
  const rest = withoutGroup(replacement, shard);
  const role = roleIn(descriptor, node);
  if (role !== undefined) {
    const learning = role === 'learner' ? [...rest.learning, shard].sort((a, b) => a - b) : rest.learning;
    return encodeReplacement({ node, shards, learning });
  }
  const isOver = rest.shards.length === 0 && nodeStage(state, node) === 'joining';
  return isOver ? undefined : encodeReplacement(rest);
}

function roleIn({ replicas, learners = [] }: ShardDescriptor, node: NodeId): 'voter' | 'learner' | undefined {
  const member = replicas.find((of) => of.node === node);
  return member && (learners.includes(member.replica) ? 'learner' : 'voter');
}
