/**
 * What the placement leader plans from a shard map that is behind, and what comes late of that. One group takes steps of its members one
 * at a time; the map follows as slowly as it likes, and any request that was ever sent may come, again.
 */
import { describe, expect, test } from 'vitest';
import type { QuorateError } from '../../../src/base/errors.js';
import { emptyBytes } from '../../../src/base/bytes.js';
import type { ReplicaId } from '../../../src/base/ids.js';
import { NodeId, ShardId } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { changeMembers, type MembersWish } from '../../../src/node/membership/replica-changes.js';
import { membershipSteps } from '../../../src/placement/membership-steps.js';
import { groupsOf, storeInUse } from '../../../src/placement/node-registry.js';
import { removalBegin, removalEnd } from '../../../src/placement/node-removal.js';
import { replacementAmended, replacementBegin } from '../../../src/placement/node-replacement.js';
import type { PlacementState } from '../../../src/placement/placement-state.js';
import { ShardMap } from '../../../src/placement/shard-map.js';
import { isJoint } from '../../../src/raft/config.js';
import { leftJoint } from '../../../src/raft/config-change.js';
import { type GroupDescriptor, newGroup, withConfiguration } from '../../../src/shard/group-descriptor.js';
import { MemberChanges, membersNow, type WantedMembers } from '../../../src/shard/member-changes.js';
import { after, facts, group, joined, record, seated, three, thrown } from '../../placement/registry-states.js';

const shard = ShardId(1);
const all = [1, 2, 3, 4, 5];

/** A shard on these nodes, whose leader has applied all. One that is to leave hands over, and what was asked of it is forgotten. */
class Group {
  descriptor: GroupDescriptor;
  readonly history: GroupDescriptor[] = [];
  #changes: MemberChanges;
  #next: GroupDescriptor | undefined;

  constructor(...nodes: readonly number[]) {
    const { replicas } = group(shard, ...nodes);
    const epoch = { membership: 1, range: 1 };
    this.descriptor = newGroup({ shard, start: emptyBytes, end: emptyBytes, epoch, replicas });
    this.history.push(this.descriptor);
    this.#changes = this.#ledBy(replicas[0].replica);
  }

  #ledBy(self: ReplicaId): MemberChanges {
    return new MemberChanges({
      shard,
      self,
      descriptor: () => this.descriptor,
      storeOf: (node) => `store-${node}`,
      propose: (next) => {
        this.#next ??= next;
        return { type: 'proposed', index: 1, term: 1 } as unknown as ReturnType<
          ConstructorParameters<typeof MemberChanges>[0]['propose']
        >;
      },
      handOver: ([to]) => {
        this.leads(to);
      },
    });
  }

  leads(replica: ReplicaId): void {
    const before = this.#changes;
    this.#changes = this.#ledBy(replica);
    before.lost();
  }

  /** As `changeMember` comes to its leader; how it was refused. */
  ask(wish: MembersWish, state: PlacementState): Promise<string | undefined> {
    const replica = {
      descriptor: this.descriptor,
      changeMembers: (members: WantedMembers, done: (error?: QuorateError) => void) => {
        this.#changes.begin(members, (error) => done(error));
      },
    };
    const asked = changeMembers({ replica }, wish, (node) => storeInUse(state, node));
    return asked.then(
      () => undefined,
      (error: unknown) => (error as QuorateError).code,
    );
  }

  /** Applies what was proposed, if anything was; and proposes what is next. */
  advance(): void {
    const { descriptor } = this;
    const next = isJoint(descriptor.configuration)
      ? withConfiguration(descriptor, leftJoint(descriptor.configuration))
      : this.#next;
    this.#next = undefined;
    if (next !== undefined) this.history.push((this.descriptor = next));
    this.#changes.proceed();
  }

  get members(): { readonly voters: readonly NodeId[]; readonly learners: readonly NodeId[] } {
    return membersNow(this.descriptor);
  }
}

function withMap(state: PlacementState, known: GroupDescriptor): PlacementState {
  return { ...state, shardMap: new ShardMap(known.epoch.membership, [known]) };
}

function wishesOf(state: PlacementState, left: Iterable<ShardId> = []): MembersWish[] {
  const placement = seated([1, 2, 4], [5]);
  const common = { placement, seats: 3, isReachable: () => true };
  const due = membershipSteps({ state, left: () => new Set([ShardId(0), ...left]), ...common });
  return due.flatMap((step): MembersWish[] => {
    if ((step.type !== 'leave' && step.type !== 'join') || step.shard !== shard) return [];
    const { node } = step;
    const { role, instead } = step.type === 'join' ? step : ({ role: 'none', instead: [] } as const);
    const membership = state.shardMap.byId(shard)?.epoch.membership ?? 0;
    return [{ type: 'changeMember', shard, node, role, instead, storeId: storeInUse(state, node), membership }];
  });
}

test('a request that was decided on members that the shard has no more is refused', async () => {
  const state = joined(...all.map((node) => record(node)));
  const shardGroup = new Group(1, 2, 3);
  const join = (node: number, instead: number[], membership: number): MembersWish => ({
    type: 'changeMember',
    shard,
    node: NodeId(node),
    role: 'voter',
    instead: instead.map(NodeId),
    storeId: `store-${node}`,
    membership,
  });
  const newer = shardGroup.ask(join(5, [3, 4], 1), state);
  for (let i = 0; i < 8; i++) shardGroup.advance();
  expect(await newer).toBeUndefined();
  expect(shardGroup.members).toEqual({ voters: [1, 2, 5], learners: [] });
  // By a placement leader of before, which did not know of node 5: with it the shard would have four voters.
  expect(await shardGroup.ask(join(4, [3], 1), state)).toBe('EPOCH_MISMATCH');
  for (let i = 0; i < 8; i++) shardGroup.advance();
  expect(shardGroup.members).toEqual({ voters: [1, 2, 5], learners: [] });
});

test.each(Array.from({ length: 200 }, (_, seed) => seed))(
  'a removal keeps three voters, and leaves nobody behind, with maps and requests of any age (seed %i)',
  async (seed) => {
    const random = new Prng(seed);
    const shardGroup = new Group(1, 2, 3);
    const leaderMoves = random.chance(0.5);
    let plan = joined(...all.map((node) => record(node)));
    /** Of the group's history, what the map has: the placement group's state never goes back. */
    let mapped = 0;
    const known = (): GroupDescriptor => shardGroup.history[mapped] ?? shardGroup.descriptor;
    const begin = (down?: number): void => {
      const state = withMap(plan, known());
      const isReachable = (node: NodeId): boolean => node !== down;
      const refused = thrown(() => {
        plan = after(plan, removalBegin(state, three, facts(state.shardMap.shards, { isReachable })));
      }) as QuorateError | undefined;
      // Of four voters, on the way, two are no majority.
      if (refused !== undefined)
        expect(refused.message).toMatch(/no majority without node 3: 2 of .* nodes 1, 2, 3, [45]/);
    };
    begin();
    const sent: MembersWish[] = [];
    const left = new Set<ShardId>();
    const turn = async (isLate: boolean): Promise<void> => {
      mapped = isLate ? random.int(mapped, shardGroup.history.length - 1) : shardGroup.history.length - 1;
      if (!isJoint(known().configuration)) sent.push(...wishesOf(withMap(plan, known()), left));
      const wish = isLate ? random.pick(sent) : sent.at(-1);
      if (wish !== undefined && random.chance(0.5))
        void shardGroup.ask(wish, plan).then((failure) => failure === undefined && left.add(shard));
      // Another node leads the placement group.
      if (isLate && random.chance(0.1)) left.clear();
      shardGroup.advance();
      await Promise.resolve();
      const { configuration } = shardGroup.descriptor;
      if (leaderMoves && isLate && random.chance(0.2)) shardGroup.leads(random.pick([...configuration.voters]));
      const { voters, learners } = shardGroup.members;
      // One that leads and is to go votes on until it has handed over.
      expect(voters.length, voters.join(' ')).toBeGreaterThanOrEqual(3);
      expect(voters.length, voters.join(' ')).toBeLessThanOrEqual(leaderMoves ? 4 : 3);
      expect(learners.length, learners.join(' ')).toBeLessThanOrEqual(2);
    };
    for (let i = 0; i < 30; i++) {
      // The command is given again.
      if (random.chance(0.1)) begin(random.pick([undefined, 4, 5]));
      await turn(true);
    }
    for (let i = 0; i < 30; i++) await turn(false);
    const { voters, learners } = shardGroup.members;
    expect(learners).toEqual([]);
    expect(voters.filter((node) => node !== 4 && node !== 5)).toEqual([1, 2]);
    expect(voters.length).toBe(3);
    expect(removalEnd(withMap(plan, known()), three, [known()])).not.toEqual([]);
  },
);

describe('a replica that the map did not have when the plan was made', () => {
  const state = joined(...all.map((node) => record(node)));
  const [before, now] = [new Group(1, 2, 4), new Group(1, 2, 3)].map(({ descriptor }) => descriptor);

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
