import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { NodeId, ReplicaId, ShardId } from '../../../src/base/ids.js';
import { silentLogger } from '../../../src/env/logger.js';
import { MembershipWork, type MembershipWorkOptions } from '../../../src/node/membership/membership-work.js';
import type { PlacementGroup } from '../../../src/node/placement-group.js';
import type { PlacementState } from '../../../src/placement/placement-state.js';
import { removalBegin } from '../../../src/placement/node-removal.js';
import { rejoined, replacementBegin } from '../../../src/placement/node-replacement.js';
import { ShardMap } from '../../../src/placement/shard-map.js';
import type { MemberWish } from '../../../src/rpc/peer-messages.js';
import { withLearners } from '../../../src/shard/descriptor.js';
import {
  after,
  facts,
  group,
  joined,
  joining,
  leaving,
  record,
  seated,
  three,
  withShards,
} from '../../placement/registry-states.js';

interface Asked {
  readonly wish: MemberWish;
  readonly signal: AbortSignal;
  readonly done: () => void;
}

/** A placement leader whose steps wait until the test ends them. */
class Bench {
  readonly asked: Asked[] = [];
  decisions = 0;
  readonly replica = { isReadyLeader: true, descriptor: seated([1, 2]) };
  readonly group: { state: PlacementState; replica: Bench['replica']; decide: PlacementGroup['decide'] };
  readonly work: MembershipWork;

  constructor(state: PlacementState, founders = [1, 2]) {
    const decide: PlacementGroup['decide'] = (decision) => {
      this.decisions++;
      const { group, replica } = this;
      group.state = after(group.state, decision(group.state, replica.descriptor));
      return Promise.resolve();
    };
    this.group = { state, replica: this.replica, decide };
    const changeMember = (wish: MemberWish, _: number, signal: AbortSignal): Promise<void> =>
      new Promise((done, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        this.asked.push({ wish, signal, done });
      });
    this.work = new MembershipWork({
      nodeId: NodeId(1),
      logger: silentLogger,
      group: this.group as unknown as MembershipWorkOptions['group'],
      changes: { changeMember },
      founders: founders.map(NodeId),
      isReachable: () => true,
      onFailure: (error) => {
        throw error;
      },
    });
  }

  async look(): Promise<void> {
    for (let i = 0; i < 10; i++) this.work.tick();
    await setImmediate();
  }

  /** Steps that concern shard 1 and are not given up. */
  get open(): readonly Asked[] {
    return this.asked.filter(({ wish, signal }) => wish.shard === 1 && !signal.aborted);
  }
}

describe('what the placement leader has begun', () => {
  const state = withShards(joined(...[1, 2, 3, 4, 5].map((node) => record(node))), [1, 2, 3]);
  const plan = (from: PlacementState, isReachable: (node: NodeId) => boolean): PlacementState =>
    after(from, removalBegin(from, three, facts([group(1, 1, 2, 3)], { isReachable })));
  const first = plan(state, () => true);

  test('is given up when the plan has changed, and what is due now begins', async () => {
    const bench = new Bench(first);
    await bench.look();
    expect(bench.open.map(({ wish }) => [wish.node, wish.instead])).toEqual([[4, [3]]]);
    await bench.look();
    expect(bench.open.length).toBe(1);
    bench.group.state = plan(first, (node) => node !== 4);
    await bench.look();
    await bench.look();
    expect(bench.open.map(({ wish }) => [wish.node, wish.instead])).toEqual([[5, [3, 4]]]);
  });

  test('is given up when it leads no more, and when the node stops', async () => {
    const bench = new Bench(first);
    await bench.look();
    bench.replica.isReadyLeader = false;
    await bench.look();
    expect(bench.open).toEqual([]);
    bench.replica.isReadyLeader = true;
    await bench.look();
    expect(bench.open.length).toBe(1);
    bench.work.close();
    expect(bench.open).toEqual([]);
  });
});

test('two nodes that go at once have two nodes take their places in a group, one after the other', async () => {
  const five = joined(...[1, 2, 3, 4, 5].map((node) => record(node)));
  const groups = [group(1, 1, 2, 3)];
  const isReachable = (): boolean => true;
  const state = withShards(five, [1, 2, 3]);
  const one = after(state, removalBegin(state, three, facts(groups, { isReachable, founders: [] })));
  const both = after(one, removalBegin(one, NodeId(2), facts(groups, { isReachable, founders: [] })));
  const bench = new Bench(both, [1, 2, 3]);
  bench.replica.descriptor = seated([1, 2, 3], [4, 5]);
  await bench.look();
  await bench.look();
  const asked = (shard: number): unknown[] =>
    bench.asked.filter(({ wish }) => wish.shard === shard).map(({ wish }) => [wish.node, wish.instead]);
  // Of the placement group they stay members until the last, for they may lead shards.
  expect([asked(0), asked(1)]).toEqual([[], [[4, [3]]]]);
  for (const { done } of bench.asked) done();
  bench.group.state = withShards(both, [1, 2, 4]);
  for (let i = 0; i < 4; i++) await bench.look();
  expect(bench.group.state.removals.get(three)?.moves).toEqual([]);
  expect(asked(1)).toEqual([
    [4, [3]],
    [5, [2]],
  ]);
  expect(asked(0)).toEqual([[4, [3]]]);
  for (const { done } of bench.asked) done();
  bench.replica.descriptor = seated([1, 2, 4], [3, 5]);
  bench.group.state = withShards(bench.group.state, [1, 4, 5]);
  for (let i = 0; i < 4; i++) await bench.look();
  expect(asked(0)).toContainEqual([5, [2]]);
});

test('who is replaced has its vote back when the map says so: with a map that has it as a learner it is asked for again', async () => {
  const rejoining = after(joining, rejoined(joining, three, ShardId(0)));
  const learner = { replica: ReplicaId(20), node: three, storeId: 'store-new' };
  const state = withShards(rejoining, [1, 2, learner]);
  const [known] = state.shardMap.shards;
  const learning = { ...state, shardMap: new ShardMap(1, [withLearners(known, [learner.replica])]) };
  const bench = new Bench(learning);
  bench.replica.descriptor = seated([1, 2, 3]);
  await bench.look();
  expect(bench.open.map(({ wish }) => [wish.node, wish.role, wish.membership])).toEqual([[three, 'voter', 5]]);
  bench.open[0]?.done();
  await bench.look();
  await bench.look();
  expect([bench.decisions, bench.asked.filter(({ wish }) => wish.shard === 1).length]).toEqual([0, 2]);
  bench.group.state = state;
  bench.open[1]?.done();
  await bench.look();
  expect(bench.decisions).toBe(1);
});

test('a shard that has lost a stray replica on a node is asked again when the node itself is to leave', async () => {
  const stray = { ...group(1, 3).replicas[0], storeId: 'store-3' };
  const bench = new Bench(withShards(joining, [1, 2, stray]));
  await bench.look();
  expect(bench.open.map(({ wish }) => [wish.shard, wish.node, wish.role])).toEqual([[ShardId(1), three, 'none']]);
  bench.open[0]?.done();
  const replacing = replacementBegin(joining, three, facts([group(0, 1, 2), group(1, 1, 2)]));
  bench.group.state = withShards(after(joining, replacing), [1, 2]);
  await bench.look();
  await bench.look();
  expect(bench.asked.filter(({ wish }) => wish.shard === 1).length).toBe(2);
});

test('a step that is done waits for a tick until the next, in case it has changed nothing: it is no loop without end', async () => {
  let left = 0;
  let decisions = 0;
  const work = new MembershipWork({
    nodeId: NodeId(1),
    logger: silentLogger,
    group: {
      state: withShards(leaving, [1, 2]),
      replica: { isReadyLeader: true, descriptor: seated([1, 2]) },
      // Changes nothing, at once; a loop ends by itself here.
      decide: () => (++decisions < 50 ? Promise.resolve() : new Promise(() => undefined)),
    } as unknown as MembershipWorkOptions['group'],
    changes: { changeMember: () => Promise.resolve(void left++) },
    founders: [NodeId(1), NodeId(2)],
    isReachable: () => true,
    onFailure: (error) => expect.unreachable(String(error)),
  });
  for (let tick = 0; tick < 10; tick++) work.tick();
  await setImmediate();
  expect([left, decisions]).toEqual([2, 0]);
  for (let tick = 1; tick <= 3; tick++) {
    work.tick();
    await setImmediate();
    expect(decisions).toBe(tick);
  }
});
