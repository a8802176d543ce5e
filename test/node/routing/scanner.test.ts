import { describe, expect, test } from 'vitest';
import { setImmediate } from 'node:timers/promises';
import { emptyBytes, utf8 } from '../../../src/base/bytes.js';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId, Timestamp } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { Scanner } from '../../../src/node/routing/scanner.js';
import { ShardMap } from '../../../src/placement/shard-map.js';
import type { ScanPage } from '../../../src/rpc/backend.js';
import type { PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { ShardDescriptor } from '../../../src/shard/descriptor.js';

const shards: ShardDescriptor[] = [
  [emptyBytes, utf8('m')],
  [utf8('m'), emptyBytes],
].map(([start, end], i) => ({
  shard: ShardId(i + 1),
  start,
  end,
  epoch: { membership: 1, range: 1 },
  replicas: [{ replica: ReplicaId(2), node: NodeId(2) }],
}));

const never = new Promise<never>(() => undefined);

/** A node without replicas, whose clock and other nodes do as the test says. */
class Bench {
  nowMs = 0;
  timestamp: () => Promise<Timestamp> = () => Promise.resolve(Timestamp(7));
  leader: number | undefined = 2;
  /** What the leader answers, by the number of the shard. */
  answer: (shard: number) => Promise<PeerResponse> = (shard) =>
    Promise.resolve({
      type: 'scannedPage',
      records: [{ key: utf8(`of ${shard}`), version: Timestamp(1), value: emptyBytes }],
      resume: undefined,
    });
  readonly abort = new AbortController();
  readonly scanner: Scanner;
  readonly #timers = new Map<object, { readonly atMs: number; readonly callback: () => void }>();

  constructor() {
    this.scanner = new Scanner({
      clock: {
        monotonicMs: () => this.nowMs,
        wallMicros: () => 0,
        after: (delayMs, callback) => {
          const timer = { cancel: () => this.#timers.delete(timer) };
          this.#timers.set(timer, { atMs: this.nowMs + delayMs, callback });
          return timer;
        },
        endOfTurn: (callback) => callback(),
      },
      random: new Prng(1),
      limits: defaultLimits,
      timestamps: { request: () => this.timestamp() },
      shardMap: () => new ShardMap(1, shards),
      executor: () => undefined,
      shardNodes: {
        choose: () => (this.leader === undefined ? undefined : NodeId(this.leader)),
        ask: ({ shard }) => this.answer(shard),
      },
    });
  }

  get openTimers(): number {
    return this.#timers.size;
  }

  /** A scan of everything: its keys, and how and when it ended. */
  scan(
    timeoutMs = 5000,
    pageTimeoutMs = timeoutMs,
  ): { keys: string[]; end: { atMs: number; error: unknown } | undefined } {
    const found: ReturnType<Bench['scan']> = { keys: [], end: undefined };
    const all = { start: emptyBytes, end: emptyBytes, reverse: false, keysOnly: false, limit: 0, pageBytes: 0 };
    const request = { ...all, consistency: 'linearizable', readTs: Timestamp(0), timeoutMs, pageTimeoutMs } as const;
    const read = async (pages: AsyncIterable<ScanPage>): Promise<void> => {
      for await (const { records } of pages)
        found.keys.push(...records.map(({ key }) => new TextDecoder().decode(key)));
    };
    read(this.scanner.scan(request, this.abort.signal)).then(
      () => (found.end = { atMs: this.nowMs, error: undefined }),
      (error: unknown) => (found.end = { atMs: this.nowMs, error }),
    );
    return found;
  }

  async pass(ms: number): Promise<void> {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; this.nowMs += 10) {
      await setImmediate();
      for (const [timer, { atMs, callback }] of [...this.#timers]) {
        if (atMs <= this.nowMs && this.#timers.delete(timer)) callback();
      }
      await setImmediate();
    }
  }
}

describe('a scan', () => {
  test('reads shard after shard', async () => {
    const bench = new Bench();
    const found = bench.scan();
    await bench.pass(10);
    expect(found).toMatchObject({ keys: ['of 1', 'of 2'], end: { error: undefined } });
    expect(bench.openTimers).toBe(0);
  });

  test('waits for each page as long as it may, and for all of them together longer', async () => {
    const bench = new Bench();
    bench.leader = undefined;
    const found = bench.scan(60_000, 1000);
    await bench.pass(500);
    bench.leader = 2;
    await bench.pass(400);
    expect(found).toMatchObject({ keys: ['of 1', 'of 2'], end: { error: undefined } });
    bench.leader = undefined;
    const failed = bench.scan(60_000, 1000);
    await bench.pass(1100);
    expect(failed.end?.error).toMatchObject({ code: 'SHARD_UNAVAILABLE', shard: 1 });
  });

  test('goes on when a shard has a leader again', async () => {
    const bench = new Bench();
    bench.leader = undefined;
    const found = bench.scan();
    await bench.pass(3000);
    expect(found.end).toBeUndefined();
    bench.leader = 2;
    await bench.pass(300);
    expect(found).toMatchObject({ keys: ['of 1', 'of 2'], end: { error: undefined } });
  });
});

describe('a scan that cannot be done by its deadline', () => {
  test.each<[string, Partial<Bench>, object]>([
    ['no leader', { leader: undefined }, { code: 'SHARD_UNAVAILABLE', shard: 1 }],
    [
      'no timestamps',
      { timestamp: () => unavailable('TIMESTAMP_UNAVAILABLE') },
      { code: 'SHARD_UNAVAILABLE', shard: 0 },
    ],
    ['no connection', { answer: () => unavailable('UNAVAILABLE') }, { code: 'SHARD_UNAVAILABLE', shard: 1 }],
    ['too much to do', { answer: () => unavailable('OVERLOADED') }, { code: 'OVERLOADED', shard: 1 }],
    ['no answer', { answer: () => never }, { code: 'DEADLINE_EXCEEDED', shard: 1 }],
  ])('for %s says so, and names the shard', async (_what, circumstances, error) => {
    const bench = Object.assign(new Bench(), circumstances);
    const found = bench.scan(2000);
    await bench.pass(2100);
    expect(found.end?.error).toMatchObject({ ...error, outcome: 'notApplied' });
    // Not earlier than the longest time between two tries.
    expect(found.end?.atMs).toBeGreaterThanOrEqual(1800);
    expect(found.end?.atMs).toBeLessThanOrEqual(2000);
    expect(bench.openTimers).toBe(0);
  });

  test('names the shard that it waits for, and why its tries failed before', async () => {
    const bench = new Bench();
    const { answer } = bench;
    let tries = 0;
    bench.answer = (shard) => {
      if (shard === 1) return answer(shard);
      return ++tries === 1 ? unavailable('NOT_LEADER') : never;
    };
    const found = bench.scan(1000);
    await bench.pass(1100);
    expect(found.keys).toEqual(['of 1']);
    const message = expect.stringMatching(/NOT_LEADER.*given up at the deadline/) as string;
    expect(found.end?.error).toMatchObject({ code: 'SHARD_UNAVAILABLE', shard: 2, message });
  });
});

describe('a scan under way', () => {
  test('ends at once when its caller gives up', async () => {
    const bench = new Bench();
    bench.answer = () => never;
    const found = bench.scan();
    await bench.pass(20);
    bench.abort.abort();
    await setImmediate();
    expect(found.end?.error).toMatchObject({ code: 'CANCELLED' });
    expect(bench.openTimers).toBe(0);
  });

  test('is not tried again when the node ends', async () => {
    const bench = new Bench();
    bench.leader = undefined;
    const found = bench.scan();
    await bench.pass(20);
    bench.scanner.close();
    await bench.pass(300);
    expect(found.end?.error).toMatchObject({ code: 'NODE_STOPPING' });
  });
});

function unavailable(code: 'TIMESTAMP_UNAVAILABLE' | 'UNAVAILABLE' | 'OVERLOADED' | 'NOT_LEADER'): Promise<never> {
  return Promise.reject(new QuorateError(code, `as ${code}`));
}
