/** What the placement leader plans from a shard map that is behind, and what comes late of that. All of it together: walk.test.ts. */
import { describe, expect, test } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.js';
import { NodeId, ShardId } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import type { MembersWish } from '../../../src/node/membership/replica-changes.js';
import { membershipSteps } from '../../../src/placement/membership-steps.js';
import { groupsOf, storeInUse } from '../../../src/placement/node-registry.js';
import { removalBegin } from '../../../src/placement/node-removal.js';
import { replacementAmended, replacementBegin } from '../../../src/placement/node-replacement.js';
import type { PlacementState } from '../../../src/placement/placement-state.js';
import { ShardMap } from '../../../src/placement/shard-map.js';
import { type GroupDescriptor, newGroup } from '../../../src/shard/group-descriptor.js';
import { membersNow } from '../../../src/shard/member-changes.js';
import { after, facts, group, joined, record, seated, three } from '../../placement/registry-states.js';
import { WalkGroup } from './walk-group.js';

const shard = ShardId(1);
const all = [1, 2, 3, 4, 5];

/** A shard on these nodes, all of which live. */
function shardOn(...nodes: readonly number[]): WalkGroup {
  const { replicas } = group(shard, ...nodes);
  const epoch = { membership: 1, range: 1 };
  const descriptor = newGroup({ shard, start: emptyBytes, end: emptyBytes, epoch, replicas });
  return new WalkGroup(descriptor, {
    random: new Prng(1),
    isAlive: () => true,
    storeOf: (node) => `store-${node}`,
  });
}

function membersOf({ descriptor }: WalkGroup): ReturnType<typeof membersNow> {
  return membersNow(descriptor);
}

function withMap(state: PlacementState, known: GroupDescriptor): PlacementState {
  return { ...state, shardMap: new ShardMap(known.epoch.membership, [known]) };
}

function wishesOf(state: PlacementState): MembersWish[] {
  const placement = seated([1, 2, 4], [5]);
  const due = membershipSteps({
    state,
    placement,
    seats: 3,
    left: () => new Set([ShardId(0)]),
    isReachable: () => true,
  });
  return due.flatMap((step): MembersWish[] => {
    if ((step.type !== 'leave' && step.type !== 'join') || step.shard !== shard) return [];
    const { node } = step;
    const { role, instead } = step.type === 'join' ? step : ({ role: 'none', instead: [] } as const);
    const membership = state.shardMap.byId(shard)?.epoch.membership ?? 0;
    return [{ type: 'changeMember', shard, node, role, instead, storeId: storeInUse(state, node), membership }];
  });
}

/** Decided on the first members that the shard had. */
function join(node: number, ...instead: readonly number[]): MembersWish {
  const storeId = `store-${node}`;
  const of = { shard, node: NodeId(node), storeId, instead: instead.map((other) => NodeId(other)) };
  return { type: 'changeMember', role: 'voter', membership: 1, ...of };
}

test('a request that was decided on members that the shard has no more is refused', async () => {
  const shardGroup = shardOn(1, 2, 3);
  const newer = shardGroup.ask(join(5, 3, 4));
  for (let i = 0; i < 8; i++) shardGroup.advance();
  await newer;
  expect(membersOf(shardGroup)).toEqual({ voters: [1, 2, 5], learners: [] });
  // By a placement leader of before, which did not know of node 5: with it the shard would have four voters.
  await expect(shardGroup.ask(join(4, 3))).rejects.toMatchObject({ code: 'EPOCH_MISMATCH' });
  for (let i = 0; i < 8; i++) shardGroup.advance();
  expect(membersOf(shardGroup)).toEqual({ voters: [1, 2, 5], learners: [] });
});

test('a request that was decided on the very members that an operator then sealed is refused', async () => {
  const shardGroup = shardOn(1, 2, 3);
  const sealed = shardGroup.seal(shardGroup.descriptor);
  shardGroup.advance();
  await sealed;
  await expect(shardGroup.ask(join(4))).rejects.toMatchObject({ code: 'EPOCH_MISMATCH' });
});

test('members that changed before they were sealed are not', async () => {
  const shardGroup = shardOn(1, 2, 3);
  const wished = shardGroup.descriptor;
  const step = shardGroup.ask(join(4));
  const sealed = shardGroup.seal(wished);
  await expect(step).rejects.toMatchObject({ code: 'NOT_LEADER' });
  shardGroup.advance();
  await expect(sealed).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'the members of shard 1 have changed again',
  });
});

test('a request that comes while the members change is refused: they are about to be others', async () => {
  const shardGroup = shardOn(1, 2, 3);
  const first = shardGroup.ask(join(4));
  const second = join(5);
  await expect(shardGroup.ask(second)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  for (let i = 0; i < 4; i++) shardGroup.advance();
  await first;
  await expect(shardGroup.ask(second)).rejects.toMatchObject({ code: 'EPOCH_MISMATCH' });
  expect(membersOf(shardGroup)).toEqual({ voters: [1, 2, 3, 4], learners: [] });
});

describe('a replica that the map did not have when the plan was made', () => {
  const state = joined(...all.map((node) => record(node)));
  const [before, now] = [shardOn(1, 2, 4), shardOn(1, 2, 3)].map(({ descriptor }) => descriptor);

  test('moves when its node is removed', () => {
    const draining = after(state, removalBegin(withMap(state, before), three, facts([before])));
    const known = withMap(draining, now);
    expect(wishesOf(known)).toEqual([]);
    const placement = seated([1, 2]);
    const common = { placement, seats: 2, left: () => new Set<ShardId>(), isReachable: () => true };
    expect(membershipSteps({ state: known, ...common })).toContainEqual({ type: 'plan', node: three });
    const planned = after(draining, removalBegin(known, three, facts(groupsOf(known, placement))));
    const [wish] = wishesOf(withMap(planned, now));
    expect(wish).toMatchObject({ role: 'voter', instead: [three] });
  });

  test('comes back when its node is replaced', () => {
    const leaving = after(state, replacementBegin(withMap(state, before), three, facts([before])));
    const known = withMap(leaving, now);
    expect(wishesOf(known)).toEqual([]);
    const amended = after(leaving, replacementAmended(known, three, [now]));
    expect(amended.replacements.get(three)?.shards).toEqual([shard]);
    expect(wishesOf(withMap(amended, now))).toMatchObject([{ role: 'none', node: three }]);
    expect(replacementAmended(state, three, [now])).toEqual([]);
  });
});
