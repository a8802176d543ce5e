import { describe, expect, test } from 'vitest';
import { setImmediate } from 'node:timers/promises';
import { defined } from '../../../src/base/assert.js';
import { emptyBytes, utf8 } from '../../../src/base/bytes.js';
import { QuorateError } from '../../../src/base/errors.js';
import type { ErrorCode, Outcome } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId, Timestamp } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import type { Limits } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { deferred } from '../../../src/base/promises.js';
import type { Deferred } from '../../../src/base/promises.js';
import type { AtomicBatch, Operation, OperationResult } from '../../../src/mvcc/operations.js';
import { Router } from '../../../src/node/routing/router.js';
import { ShardNodes } from '../../../src/node/routing/shard-nodes.js';
import { ShardMap } from '../../../src/placement/shard-map.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { ShardDescriptor } from '../../../src/shard/descriptor.js';
import type { KvExecutor } from '../../../src/shard/kv-executor.js';
import type { Task } from '../../../src/shard/task.js';
import { batch, put } from '../../mvcc/leader.js';

const shard: ShardDescriptor = {
  shard: ShardId(1),
  start: emptyBytes,
  end: emptyBytes,
  epoch: { membership: 1, range: 1 },
  replicas: [1, 2, 3].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) })),
};
const written: OperationResult = { type: 'written', version: Timestamp(9) };

interface Sent {
  readonly node: number;
  readonly body: PeerRequest;
  readonly timeoutMs: number;
  readonly answer: Deferred<PeerResponse>;
}

/** Node 1's router. Its replica, its clock and the other nodes do as the test says. */
class Bench {
  readonly router: Router;
  nowMs = 0;
  leader: number | undefined = 2;
  hasReplica = true;
  shardMap = new ShardMap(1, [shard]);
  readonly sent: Sent[] = [];
  readonly tasks: Task[] = [];
  #turn: (() => void)[] = [];
  readonly #timers = new Map<object, { readonly atMs: number; readonly callback: () => void }>();

  constructor(limits: Partial<Limits> = {}) {
    const replica = {};
    Object.defineProperties(replica, {
      isLeader: { get: () => this.leader === 1 },
      leaderNode: { get: () => this.leader },
    });
    const executor = { replica, execute: (task: Task) => this.tasks.push(task) } as unknown as KvExecutor;
    this.router = new Router({
      nodeId: NodeId(1),
      clock: {
        monotonicMs: () => this.nowMs,
        wallMicros: () => 0,
        after: (delayMs, callback) => {
          const timer = { cancel: () => this.#timers.delete(timer) };
          this.#timers.set(timer, { atMs: this.nowMs + delayMs, callback });
          return timer;
        },
        endOfTurn: (callback) => this.#turn.push(callback),
      },
      random: new Prng(1),
      limits: { ...defaultLimits, ...limits },
      shardMap: () => this.shardMap,
      executor: () => (this.hasReplica ? executor : undefined),
      shardNodes: new ShardNodes({
        nodeId: NodeId(1),
        clock: { monotonicMs: () => this.nowMs },
        executor: () => (this.hasReplica ? executor : undefined),
        isReachable: () => true,
        request: (node, body, timeoutMs) => {
          const answer = deferred<PeerResponse>();
          this.sent.push({ node, body, timeoutMs, answer });
          return answer.promise;
        },
      }),
    });
  }

  submit(operation: Operation = put('k', 'v'), timeoutMs = 5000): OperationResult[] {
    const results: OperationResult[] = [];
    this.router.submit(operation, timeoutMs, (result) => results.push(result));
    return results;
  }

  async turn(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      for (const callback of this.#turn.splice(0)) callback();
      await setImmediate();
    }
  }

  /** Moves time on, with a tick every 50 ms. */
  async pass(ms: number): Promise<void> {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs;) {
      this.nowMs = Math.min(untilMs, this.nowMs + 50);
      for (const [timer, { atMs, callback }] of [...this.#timers]) {
        if (atMs <= this.nowMs && this.#timers.delete(timer)) callback();
      }
      this.router.tick();
      await this.turn();
    }
  }

  /** What the oldest request was; the test goes on with its answer. */
  async next(): Promise<Sent> {
    await this.turn();
    return defined(this.sent.shift(), 'request to another node');
  }

  async answer(...results: OperationResult[]): Promise<void> {
    (await this.next()).answer.resolve({ type: 'executed', results });
    await this.turn();
  }

  async answerFailure(code: ErrorCode, outcome: Outcome, retryAfterMs?: number): Promise<void> {
    await this.answer({ type: 'failed', error: new QuorateError(code, 'why', { outcome, retryAfterMs }) });
  }
}

describe('the router', () => {
  test('refuses an atomic batch of keys in different shards, and names two of them', async () => {
    const bench = new Bench();
    const half = { ...shard, end: utf8('m') };
    const otherHalf = { ...shard, shard: ShardId(2), start: utf8('m') };
    bench.shardMap = new ShardMap(1, [half, otherHalf]);
    const refused = bench.submit(batch([put('a', '1'), put('b', '1'), put('n', '1'), put('z', '1')]));
    expect(refused, 'never in the turn of the call').toEqual([]);
    await bench.turn();
    expect(refused).toMatchObject([
      { error: { code: 'KEYS_IN_DIFFERENT_SHARDS', outcome: 'notApplied', retryable: false } },
    ]);
    expect(refused).toMatchObject([{ error: { message: expect.stringMatching(/"a" and "n"/) as string } }]);
    const together = bench.submit(batch([put('a', '1'), put('lz', '1')]));
    await bench.answer(written);
    expect(together).toEqual([written]);
  });

  test('counts operations of an atomic batch that are small by the memory that they take', async () => {
    const bench = new Bench({ nodeBytesInFlightMax: 1000 });
    const small = (): AtomicBatch => batch(['a', 'b', 'c', 'd'].map((key) => put(key, '')));
    const refused = bench.submit(small());
    await bench.turn();
    expect(refused).toMatchObject([{ error: { message: expect.stringContaining('nodeBytesInFlightMax') as string } }]);
  });

  test('forwards what gathers in a turn to the leader, as one request under the epoch of the map', async () => {
    const bench = new Bench();
    const results = [bench.submit(), bench.submit()];
    const { node, body } = await bench.next();
    expect(node).toBe(2);
    expect(body).toMatchObject({ type: 'execute', shard: 1, epoch: shard.epoch, operations: [{}, {}] });
    expect(results).toEqual([[], []]);
  });

  test('cuts forwards at the limits of a request', async () => {
    const bench = new Bench({ batchOperationsMax: 2 });
    for (let i = 0; i < 5; i++) bench.submit();
    await bench.turn();
    expect(bench.sent.map(({ body }) => (body.type === 'execute' ? body.operations.length : 0))).toEqual([2, 2, 1]);
  });

  test('does what it leads itself', async () => {
    const bench = new Bench();
    bench.leader = 1;
    const results = bench.submit();
    bench.tasks[0].settle(written);
    expect(results).toEqual([written]);
    await bench.turn();
    expect(bench.sent).toEqual([]);
  });

  test('asks again, with the same request id, where the leader is by then', async () => {
    const bench = new Bench();
    const operation = put('k', 'v');
    const results = bench.submit(operation);
    await bench.answerFailure('NOT_LEADER', 'notApplied');
    bench.leader = 3;
    await bench.pass(50);
    const { node, body, answer } = await bench.next();
    expect([node, body]).toMatchObject([3, { operations: [{ requestId: operation.requestId }] }]);
    answer.resolve({ type: 'executed', results: [written] });
    await bench.turn();
    expect(results).toEqual([written]);
  });

  test('waits as long as the failed try said', async () => {
    const bench = new Bench();
    bench.submit();
    await bench.answerFailure('SHARD_UNAVAILABLE', 'notApplied', 400);
    await bench.pass(350);
    expect(bench.sent).toEqual([]);
    await bench.pass(100);
    expect(bench.sent).toHaveLength(1);
  });

  test('gives a node a second at first, then twice as long, and never more than is left', async () => {
    const bench = new Bench();
    const results = bench.submit(put('k', 'v'), 4000);
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const { timeoutMs, answer } = await bench.next();
      times.push(timeoutMs);
      await bench.pass(timeoutMs);
      answer.reject(new QuorateError('DEADLINE_EXCEEDED', 'no answer', { outcome: 'unknown', retryable: true }));
      await bench.turn();
      if (i < 2) await bench.pass(50);
    }
    expect(times).toEqual([1000, 2000, 900]);
    expect(results).toMatchObject([{ error: { code: 'DEADLINE_EXCEEDED', outcome: 'unknown', shard: 1 } }]);
  });

  test('asks nodes in turn when it has no replica itself, and the leader that one names at once', async () => {
    const bench = new Bench();
    bench.hasReplica = false;
    const results = bench.submit();
    const first = await bench.next();
    first.answer.resolve({ type: 'failed', error: new QuorateError('NOT_LEADER', 'not here'), leader: NodeId(3) });
    const second = await bench.next();
    expect([first.node, second.node]).toEqual([2, 3]);
    second.answer.resolve({ type: 'executed', results: [written] });
    await bench.turn();
    expect(results).toEqual([written]);
  });

  test('does not start what gathered when it is closed before the end of the turn', async () => {
    const bench = new Bench();
    const results = bench.submit();
    bench.router.close();
    await bench.turn();
    expect(results).toMatchObject([{ error: { code: 'NODE_STOPPING', outcome: 'notApplied' } }]);
    expect(bench.sent).toEqual([]);
  });

  test.each(['INVALID_ARGUMENT', 'DISK_FULL', 'INTERNAL'] as const)('does not try again after %s', async (code) => {
    const bench = new Bench();
    const results = bench.submit();
    await bench.answerFailure(code, 'notApplied');
    expect(results).toMatchObject([{ error: { code, outcome: 'notApplied' } }]);
  });

  test('waits for a cluster that is not formed, and for a leader', async () => {
    const bench = new Bench();
    const { shardMap } = bench;
    bench.shardMap = new ShardMap(0, []);
    const results = bench.submit();
    await bench.pass(200);
    bench.shardMap = shardMap;
    bench.leader = undefined;
    await bench.pass(300);
    bench.leader = 1;
    await bench.pass(300);
    bench.tasks[0].settle(written);
    expect(results).toEqual([written]);
  });

  test('does what others forwarded here or fails it, and tries nothing again', async () => {
    const bench = new Bench();
    const results: OperationResult[] = [];
    bench.router.executeHere(shard, put('k', 'v'), 1000, (result) => results.push(result));
    bench.tasks[0].settle({ type: 'failed', error: new QuorateError('NOT_LEADER', 'not here') });
    await bench.pass(500);
    expect(results).toMatchObject([{ error: { code: 'NOT_LEADER' } }]);
    expect([bench.sent, bench.tasks.length]).toEqual([[], 1]);
    bench.hasReplica = false;
    bench.router.executeHere(shard, put('k', 'v'), 1000, (result) => results.push(result));
    expect(results[1]).toMatchObject({ error: { code: 'NOT_LEADER', shard: 1 } });
  });
});

describe('the outcome of a write', () => {
  test.each<{ tries: Outcome[]; outcome: Outcome }>([
    { tries: ['notApplied'], outcome: 'notApplied' },
    { tries: ['notApplied', 'notApplied'], outcome: 'notApplied' },
    { tries: ['unknown'], outcome: 'unknown' },
    { tries: ['unknown', 'notApplied'], outcome: 'unknown' },
    { tries: ['notApplied', 'unknown', 'notApplied'], outcome: 'unknown' },
  ])('after tries that were $tries is $outcome', async ({ tries, outcome }) => {
    const bench = new Bench();
    const results = bench.submit(put('k', 'v'), 2000);
    for (const each of tries) {
      await bench.answerFailure('UNAVAILABLE', each);
      await bench.pass(250);
    }
    bench.leader = undefined;
    for (const { answer } of bench.sent.splice(0)) answer.reject(new QuorateError('UNAVAILABLE', 'not sent'));
    await bench.pass(2000);
    expect(results).toMatchObject([{ error: { code: 'SHARD_UNAVAILABLE', outcome, shard: 1 } }]);
  });

  test('that met a full queue says so at once, with the hint: it does not wait here for room', async () => {
    const bench = new Bench();
    const results = bench.submit(put('k', 'v'), 3000);
    await bench.answerFailure('OVERLOADED', 'notApplied', 400);
    expect(results).toMatchObject([{ error: { code: 'OVERLOADED', outcome: 'notApplied', retryAfterMs: 400 } }]);
    await bench.pass(500);
    expect(bench.sent).toEqual([]);
  });

  test('that was sent and not answered at the deadline is unknown; a read never is', async () => {
    const bench = new Bench();
    const writes = bench.submit(put('k', 'v'), 300);
    const reads = bench.submit({ type: 'get', key: utf8('k'), consistency: 'linearizable' }, 300);
    await bench.pass(300);
    expect(writes).toMatchObject([{ error: { code: 'DEADLINE_EXCEEDED', outcome: 'unknown', shard: 1 } }]);
    expect(reads).toMatchObject([{ error: { code: 'DEADLINE_EXCEEDED', outcome: 'notApplied', shard: 1 } }]);
    // A late answer has no effect.
    await bench.answer(written, { type: 'absent' });
    expect([writes.length, reads.length]).toEqual([1, 1]);
  });

  test.each([
    [false, 'notApplied'],
    [true, 'unknown'],
  ] as const)('at the deadline of one that runs here depends on whether it has begun: %s', async (begun, outcome) => {
    const bench = new Bench();
    bench.leader = 1;
    const results = bench.submit(put('k', 'v'), 300);
    bench.tasks[0].begun = begun;
    await bench.pass(300);
    expect(results).toMatchObject([{ error: { outcome, shard: 1 } }]);
    expect(bench.tasks[0].abandoned).toBe(true);
  });

  test.each([
    [false, 'notApplied'],
    [true, 'unknown'],
  ] as const)('when the node ends, too: %s', (begun, outcome) => {
    const bench = new Bench();
    bench.leader = 1;
    const results = bench.submit();
    bench.tasks[0].begun = begun;
    bench.router.close();
    expect(results).toMatchObject([{ error: { code: 'NODE_STOPPING', outcome } }]);
    // One that has not begun never will.
    expect(bench.tasks[0].abandoned).toBe(true);
  });
});

describe('what a node refuses at once', () => {
  test.each([
    ['nodeOperationsInFlightMax', { nodeOperationsInFlightMax: 2 }],
    ['nodeBytesInFlightMax', { nodeBytesInFlightMax: 25 }],
  ])('is what exceeds %s, until something has ended', async (limit, limits) => {
    const bench = new Bench(limits);
    bench.submit(put('k', '123456789'));
    bench.submit(put('k', '123456789'));
    const refused = bench.submit(put('k', '123456789'));
    expect(refused, 'never in the turn of the call').toEqual([]);
    await bench.turn();
    expect(refused).toMatchObject([{ error: { code: 'OVERLOADED', outcome: 'notApplied', retryAfterMs: 50 } }]);
    expect(refused).toMatchObject([{ error: { message: expect.stringContaining(limit) as string } }]);
    expect(bench.router.pendingCount).toBe(2);
    await bench.answer(written, written);
    expect(bench.router.pendingCount).toBe(0);
    const accepted = bench.submit(put('k', '123456789'));
    await bench.answer(written);
    expect(accepted).toEqual([written]);
  });

  test('counts the value of a condition among the bytes', async () => {
    const bench = new Bench({ nodeBytesInFlightMax: 25 });
    const value = utf8('123456789');
    bench.submit({ ...put('k', '123456789'), condition: { type: 'valueEquals', value } });
    const refused = bench.submit(put('k', '123456789'));
    await bench.turn();
    expect(refused).toMatchObject([{ error: { message: expect.stringContaining('nodeBytesInFlightMax') as string } }]);
  });

  test('is everything while it stops', async () => {
    const bench = new Bench();
    const before = bench.submit();
    bench.router.stop();
    const after = bench.submit();
    await bench.turn();
    expect(after).toMatchObject([{ error: { code: 'NODE_STOPPING', outcome: 'notApplied' } }]);
    // What is under way ends, and is not tried again.
    await bench.answerFailure('NOT_LEADER', 'notApplied');
    expect(before).toMatchObject([{ error: { code: 'NOT_LEADER' } }]);
  });
});
