import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { NodeId, ShardId } from '../../src/base/ids.js';
import { silentLogger } from '../../src/env/logger.js';
import { MembershipWork, type MembershipWorkOptions } from '../../src/node/membership-work.js';
import type { PlacementState } from '../../src/placement/placement-state.js';
import { removalBegin } from '../../src/placement/node-removal.js';
import { replacementBegin } from '../../src/placement/node-replacement.js';
import type { MemberWish } from '../../src/rpc/peer-messages.js';
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
} from '../placement/registry-states.js';

interface Asked {
  readonly wish: MemberWish;
  readonly signal: AbortSignal;
  readonly done: () => void;
}

/** A placement leader whose steps wait until the test ends them. */
class Bench {
  readonly asked: Asked[] = [];
  readonly replica = { isReadyLeader: true, descriptor: seated([1, 2]) };
  readonly group: { state: PlacementState; replica: Bench['replica']; decide: () => Promise<void> };
  readonly work: MembershipWork;

  constructor(state: PlacementState) {
    this.group = { state, replica: this.replica, decide: () => Promise.resolve() };
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
      seats: 2,
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
    seats: 2,
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
