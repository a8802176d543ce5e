import { describe, expect, test } from 'vitest';
import { defined } from '../../../src/base/assert.js';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, Term, Timestamp } from '../../../src/base/ids.js';
import { silentLogger } from '../../../src/env/logger.js';
import { TimestampClient } from '../../../src/node/routing/timestamp-client.js';
import type { TimestampClientOptions } from '../../../src/node/routing/timestamp-client.js';
import { runTurns } from '../../../src/platform/turns.js';
import { type PeerRequest, type PeerResponse, timestampsPerRequestMax } from '../../../src/rpc/peer-messages.js';
import { MachineClock, SimClock } from '../../../src/sim/clock.js';
import { SimProcess } from '../../../src/sim/process.js';
import { Scheduler } from '../../../src/sim/scheduler.js';

type Issued = Extract<PeerResponse, { type: 'timestamps' }>;

interface Asked {
  readonly node: number;
  readonly count: number;
  readonly voucher: unknown;
  readonly relay: boolean;
  readonly timeoutMs: number;
  readonly answer: (response: PeerResponse) => void;
  readonly refuse: (error: QuorateError) => void;
}

const voucher = { replica: ReplicaId(1), term: Term(3) };

function knowing(leader: number | undefined): TimestampClientOptions['placement'] {
  const timestamps = (): Promise<Timestamp> => Promise.reject(new Error('this node does not lead'));
  return { leaderNode: leader === undefined ? undefined : NodeId(leader), voucher, timestamps };
}

/** A client on node 1; node 2 leads the placement group, and answers when the test says so. */
class Bench {
  readonly scheduler = new Scheduler(runTurns);
  readonly asked: Asked[] = [];
  readonly client: TimestampClient;
  readonly ends: unknown[] = [];
  readonly reachable = [NodeId(2)];

  constructor(changes: Partial<TimestampClientOptions> = {}) {
    this.client = new TimestampClient({
      clock: new SimClock(this.scheduler, new SimProcess(this.scheduler, 'node-1'), new MachineClock(this.scheduler)),
      nodeId: NodeId(1),
      logger: silentLogger,
      placement: knowing(2),
      waitingMax: 10,
      peers: { reachable: this.reachable, request: this.#request.bind(this) },
      ...changes,
    });
  }

  #request(node: NodeId, body: PeerRequest, timeoutMs: number, relay = false): Promise<PeerResponse> {
    return new Promise((answer, refuse) => {
      const { count, voucher } = body.type === 'timestamps' ? body : { count: 0, voucher: undefined };
      this.asked.push({ node, count, voucher, relay, timeoutMs, answer, refuse });
    });
  }

  /** All in one turn. */
  request(...counts: number[]): Promise<void> {
    this.scheduler.schedule(0, 'asks', () => {
      for (const count of counts) {
        const place = this.ends.push(undefined) - 1;
        this.client.request(count).then(
          (first) => (this.ends[place] = first),
          (error: unknown) => (this.ends[place] = error),
        );
      }
    });
    return this.run(1);
  }

  async answer(index: number, response: Partial<Issued>): Promise<void> {
    const { answer, count } = defined(this.asked[index], 'request');
    answer({ type: 'timestamps', first: Timestamp(1), count, ...response });
    await this.run(1);
  }

  run(ms: number): Promise<void> {
    return this.scheduler.run(this.scheduler.nowMs + ms);
  }

  get counts(): number[] {
    return this.asked.map(({ count }) => count);
  }
}

describe('timestamps', () => {
  test('for all that a turn asks for travel as one request, and each gets its part', async () => {
    const bench = new Bench();
    await bench.request(3, 1, 2);
    expect(bench.asked).toMatchObject([{ node: 2, count: 6, voucher, relay: false, timeoutMs: 1000 }]);
    await bench.answer(0, { first: Timestamp(100) });
    expect(bench.ends).toEqual([100, 103, 104]);
  });

  test('are asked for once at a time: what comes meanwhile gathers', async () => {
    const bench = new Bench();
    await bench.request(1);
    await bench.request(2);
    await bench.request(3);
    expect(bench.counts).toEqual([1]);
    await bench.answer(0, { first: Timestamp(7) });
    expect(bench.counts).toEqual([1, 5]);
    await bench.answer(1, { first: Timestamp(8) });
    expect(bench.ends).toEqual([7, 8, 10]);
  });

  test('are refused when too many wait', async () => {
    const bench = new Bench({ waitingMax: 2 });
    await bench.request(1, 1, 1);
    expect(bench.ends[2]).toMatchObject({ code: 'TIMESTAMP_UNAVAILABLE', outcome: 'notApplied', retryable: true });
    expect(bench.counts).toEqual([2]);
  });

  test('beyond what one request may ask for wait for the next', async () => {
    const bench = new Bench();
    await bench.request(timestampsPerRequestMax - 1, 2, 1);
    expect(bench.counts).toEqual([timestampsPerRequestMax - 1]);
    await bench.answer(0, {});
    expect(bench.counts).toEqual([timestampsPerRequestMax - 1, 3]);
  });

  test.each<[string, Partial<Issued>, string]>([
    ['fewer than asked for', { count: 1, first: Timestamp(50) }, 'with something else'],
    ['that were issued before', { first: Timestamp(11) }, 'issued 11, when 11 was issued before'],
  ])('%s are not used', async (_what, response, reason) => {
    const bench = new Bench();
    await bench.request(2);
    await bench.answer(0, { first: Timestamp(10) });
    await bench.request(2);
    await bench.answer(1, response);
    expect(bench.ends[1]).toMatchObject({ code: 'TIMESTAMP_UNAVAILABLE', outcome: 'notApplied' });
    expect((bench.ends[1] as Error).message).toContain(reason);
  });

  test('are asked for again where another node may lead, for a second', async () => {
    const bench = new Bench();
    await bench.request(1);
    const refusal = new QuorateError('NOT_LEADER', 'not me');
    defined(bench.asked[0], 'request').refuse(refusal);
    await bench.run(30);
    expect(bench.counts).toEqual([1, 1]);
    await bench.answer(1, { first: Timestamp(9) });
    expect(bench.ends).toEqual([9]);
    await bench.request(1);
    for (let tries = 0; tries < 200 && bench.ends[1] === undefined; tries++) {
      bench.asked.at(-1)?.refuse(refusal);
      await bench.run(10);
    }
    expect(bench.ends[1]).toMatchObject({ code: 'TIMESTAMP_UNAVAILABLE', shard: 0, retryAfterMs: 20 });
    expect(bench.scheduler.nowMs).toBeLessThan(1200);
  });

  test('that cannot be had fail all who wait by then, not one round after the other', async () => {
    const bench = new Bench({ placement: knowing(undefined) });
    bench.reachable.pop();
    await bench.request(1);
    await bench.run(500);
    await bench.request(1);
    await bench.run(500);
    const failed = { code: 'TIMESTAMP_UNAVAILABLE', retryable: true };
    expect(bench.ends).toMatchObject([failed, failed]);
  });

  test('come from this node when it leads, and are given up when they do not come', async () => {
    const bench = new Bench({
      placement: { ...knowing(1), timestamps: () => new Promise(() => undefined) },
    });
    await bench.request(1);
    await bench.run(1100);
    expect(bench.asked).toEqual([]);
    expect(bench.ends[0]).toMatchObject({ code: 'TIMESTAMP_UNAVAILABLE' });
  });
});

describe('with a line that is cut', () => {
  const nobody = new QuorateError('NOT_LEADER', 'not me');

  test.each([
    ['its leader cannot be reached', 4, 'node 1 cannot reach node 4, which leads the placement group'],
    ['no leader is heard', undefined, 'node 1 hears no leader of the placement group'],
  ])('other nodes are asked to ask, without a voucher, until one helps: %s', async (_what, leader, why) => {
    const bench = new Bench({ placement: knowing(leader) });
    bench.reachable.push(NodeId(3));
    await bench.request(2);
    bench.asked[0].refuse(nobody);
    await bench.run(30);
    await bench.answer(1, { first: Timestamp(5) });
    expect(bench.ends).toEqual([5]);
    expect(bench.asked).toMatchObject([
      { node: 2, count: 2, voucher: undefined, relay: true, timeoutMs: 400 },
      { node: 3, count: 2, voucher: undefined, relay: true, timeoutMs: 400 },
    ]);
    await bench.request(1);
    expect(bench.asked[2]).toMatchObject({ node: 3, relay: true });

    for (let tries = 0; tries < 200 && bench.ends[1] === undefined; tries++) {
      bench.asked.at(-1)?.refuse(nobody);
      await bench.run(10);
    }
    const message = `no timestamp from the placement group: ${why}; asked instead of it, node `;
    expect((bench.ends[1] as QuorateError).message).toMatch(new RegExp(`^${message}[23]: not me$`));
  });

  test('of which nothing is known yet, the first question fails, and the next goes another way, until the line is known', async () => {
    const bench = new Bench();
    bench.reachable.push(NodeId(3));
    await bench.request(1);
    const late = new QuorateError('DEADLINE_EXCEEDED', 'node 2 did not answer in time', { retryable: true });
    await bench.run(1000);
    bench.asked[0].refuse(late);
    await bench.run(1);
    expect(bench.ends).toMatchObject([{ code: 'TIMESTAMP_UNAVAILABLE' }]);
    for (const _ of [1, 2]) {
      await bench.request(1);
      await bench.answer(bench.asked.length - 1, { first: Timestamp(bench.asked.length) });
    }
    await bench.run(2000);
    await bench.request(1);
    const ways = bench.asked.map(({ node, relay }) => (relay ? `by ${node}` : `to ${node}`));
    expect(ways).toEqual(['to 2', 'by 3', 'by 3', 'to 2']);
  });

  test('nobody else is asked for what the leader has refused as too much', async () => {
    const bench = new Bench();
    bench.reachable.push(NodeId(3));
    await bench.request(1);
    bench.asked[0].refuse(new QuorateError('OVERLOADED', 'too many'));
    await bench.run(30);
    expect(bench.asked[1]).toMatchObject({ node: 2, relay: false });
  });

  test('and nobody to be reached, the message says so', async () => {
    const bench = new Bench({ placement: knowing(undefined) });
    bench.reachable.pop();
    await bench.request(1);
    await bench.run(1000);
    const message = 'node 1 hears no leader of the placement group, nor reaches another node';
    expect((bench.ends[0] as Error).message).toContain(message);
  });

  test('it is logged once by way of whom they come, and again when it is cut once more', async () => {
    const lines: unknown[] = [];
    const logger = { ...silentLogger, info: (message: string, fields?: object) => void lines.push([message, fields]) };
    const bench = new Bench({ placement: knowing(4), logger });
    const answered = async (first: number): Promise<void> => {
      await bench.request(1);
      await bench.answer(bench.asked.length - 1, { first: Timestamp(first) });
    };
    const line = [
      'gets timestamps by way of another node',
      { by: 2, why: 'node 1 cannot reach node 4, which leads the placement group' },
    ];
    await answered(1);
    await answered(2);
    expect(lines).toEqual([line]);
    bench.reachable.push(NodeId(4));
    await answered(3);
    expect(bench.asked.map(({ node }) => node)).toEqual([2, 2, 4]);
    bench.reachable.pop();
    await answered(4);
    expect(lines).toEqual([line, line]);
  });
});
