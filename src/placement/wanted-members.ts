/** What an operator's wish for the replicas of a shard means for plans that began while it was carried out. Pure. */
import type { ShardDescriptor } from '../shard/descriptor.js';
import { nodeStage } from './node-registry.js';
import { encodeRemoval, encodeReplacement, removalKey, replacementKey } from './placement-format.js';
import type { PlacementChange } from './placement-format.js';
import type { PlacementState } from './placement-state.js';

/**
 * The shard has exactly the members that an operator wanted. So a node that is being replaced and is none of them does not get its
 * replica back, and for one that is being removed no other node gets one: the shard would have one more than was wanted.
 */
export function wantedMembers(
  state: PlacementState,
  { shard, replicas }: Pick<ShardDescriptor, 'shard' | 'replicas'>,
): readonly PlacementChange[] {
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
