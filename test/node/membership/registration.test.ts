import { expect, test } from 'vitest';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId } from '../../../src/base/ids.js';
import { silentLogger } from '../../../src/env/logger.js';
import { Registration } from '../../../src/node/membership/registration.js';
import type { PeerResponse } from '../../../src/rpc/peer-messages.js';

const self = { id: NodeId(3), storeId: 'store', clientAddress: 'c:1', peerAddress: 'p:1' };
const silentTicksMax = 40;

/** Node 3. */
class Bench {
  leader: NodeId | undefined;
  hasSeat = true;
  answer: () => PeerResponse = () => ({ type: 'registered' });
  local: () => Promise<void> = () => Promise.resolve();
  readonly asked: number[] = [];
  readonly addresses: [leader: number, address: string][] = [];
  readonly refused: unknown[] = [];
  readonly failures: unknown[] = [];
  readonly #registration = new Registration({
    self,
    logger: silentLogger,
    leader: () => this.leader,
    local: { register: () => this.#local() },
    others: () => [NodeId(1), NodeId(2)],
    hasSeat: () => this.hasSeat,
    silentTicksMax,
    onAddress: (leader, address) => this.addresses.push([leader, address]),
    request: (node) => {
      this.asked.push(node);
      return new Promise((resolve) => resolve(this.answer()));
    },
    onRefused: (error) => this.refused.push(error),
    onFailure: (error) => this.failures.push(error),
  });

  #local(): Promise<void> {
    this.asked.push(3);
    return this.local();
  }

  async ticks(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#registration.tick();
      for (let turn = 0; turn < 6; turn++) await Promise.resolve();
    }
  }
}

function notLeader(leader: number | undefined, leaderAddress?: string): PeerResponse {
  const error = new QuorateError('NOT_LEADER', 'no');
  return { type: 'failed', error, leader: leader === undefined ? undefined : NodeId(leader), leaderAddress };
}

test('a node that is told who leads tells where that one listens, before it asks it', async () => {
  const bench = new Bench();
  bench.hasSeat = false;
  bench.answer = () => (bench.asked.length === 1 ? notLeader(4, 'p:4') : { type: 'registered' });
  await bench.ticks(12);
  expect([bench.asked, bench.addresses]).toEqual([[1, 4], [[4, 'p:4']]]);
});

test('a node without a replica of the placement group has nobody to hear of, and asks at once', async () => {
  const bench = new Bench();
  bench.hasSeat = false;
  bench.answer = () => notLeader(bench.asked.length === 1 ? 2 : undefined);
  await bench.ticks(12);
  expect(bench.asked).toEqual([1, 2]);
});

test('a node registers as soon as there is a leader, once', async () => {
  const bench = new Bench();
  await bench.ticks(5);
  expect(bench.asked).toEqual([]);
  bench.leader = NodeId(2);
  await bench.ticks(100);
  expect(bench.asked).toEqual([2]);
  bench.leader = NodeId(3);
  await bench.ticks(100);
  expect(bench.asked).toEqual([2]);
});

test('a node that hears of no leader for long asks the others in turn, and whom they name', async () => {
  const bench = new Bench();
  bench.answer = () => notLeader(undefined);
  await bench.ticks(silentTicksMax - 1);
  expect(bench.asked).toEqual([]);
  await bench.ticks(25);
  expect(bench.asked).toEqual([1, 2, 1]);
  bench.answer = () => (bench.asked.at(-1) === 1 ? { type: 'registered' } : notLeader(1));
  await bench.ticks(100);
  expect(bench.asked).toEqual([1, 2, 1, 2, 1]);
  expect(bench.refused).toEqual([]);
});

test('a refusal that is final is told; another is tried again, and a bug is none', async () => {
  const bench = new Bench();
  bench.leader = NodeId(3);
  const errors = [
    new QuorateError('NOT_LEADER', 'no'),
    new QuorateError('INVALID_ARGUMENT', 'not this directory'),
    new TypeError('a bug'),
  ];
  bench.local = () => Promise.reject(errors[bench.asked.length - 1] ?? new Error());
  await bench.ticks(25);
  expect(bench.asked).toEqual([3, 3, 3]);
  expect(bench.refused).toEqual([errors[1]]);
  expect(bench.failures).toEqual([errors[2]]);
});
