/** What the placement group makes of the members that a shard's leader has applied. Pure. */
import { QuorateError } from '../base/errors.js';
import { encodeDescriptor, withLearners, type ShardDescriptor } from '../shard/descriptor.js';
import { nodeStage } from './node-registry.js';
import { encodeRemoval, encodeReplacement, removalKey, replacementKey, shardKey } from './placement-format.js';
import type { PlacementChange } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

/**
 * Has the shard map say who belongs to the shard, unless it has that already, or something newer.
 *
 * @param isWanted these members are those that an operator has just wanted: plans to change them, which began while that was
 *   carried out, are struck
 * @throws QuorateError INVALID_ARGUMENT for a shard that there is not; UNAVAILABLE where `isWanted` and the members have changed
 *   since, which must be seen before they can be said to stand
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
  const plans = isWanted ? withoutPlans(state, descriptor) : [];
  if (newer <= 0) return plans;
  const value = encodeDescriptor(withLearners({ ...known, epoch, replicas }, learners));
  return [{ key: shardKey(shard), value }, ...plans];
}

/**
 * A node that is being replaced and is none of the members does not get its replica back, and for one that is being removed no
 * other node gets one: the shard would have one more than was wanted.
 */
function withoutPlans(state: PlacementState, { shard, replicas }: ShardDescriptor): readonly PlacementChange[] {
  const isOther = (other: typeof shard): boolean => other !== shard;
  const hasNone = ({ node }: Pick<(typeof replicas)[number], 'node'>): boolean =>
    replicas.every((of) => of.node !== node);
  const replacements = [...state.replacements.values()].filter((of) => hasNone(of) && of.shards.includes(shard));
  const removals = [...state.removals.values()].filter(
    (of) => hasNone(of) && of.moves.some((move) => move.shard === shard),
  );
  return [
    ...replacements.map(({ node, shards, learning }) => {
      const rest = { node, shards: shards.filter(isOther), learning: learning.filter(isOther) };
      const isOver = rest.shards.length === 0 && nodeStage(state, node) === 'joining';
      return { key: replacementKey(node), value: isOver ? undefined : encodeReplacement(rest) };
    }),
    ...removals.map(({ node, moves }) => {
      const rest = { node, moves: moves.filter((move) => isOther(move.shard)) };
      return { key: removalKey(node), value: encodeRemoval(rest) };
    }),
  ];
}
