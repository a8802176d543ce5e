import { describe, expect, test } from 'vitest';
import type { QuorateError } from '../../src/base/errors.js';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, ShardId, Term, Timestamp } from '../../src/base/ids.js';
import { defaultLimits } from '../../src/base/limits.js';
import type { Limits } from '../../src/base/limits.js';
import { Prng } from '../../src/base/prng.js';
import type { Connection, Network } from '../../src/env/network.js';
import { AssertionError, defined } from '../../src/base/assert.js';
import { defaultRaftTiming } from '../../src/node/options.js';
import { Peers } from '../../src/node/peers.js';
import type { PeerHandler, PeersOptions } from '../../src/node/peers.js';
import { ProtocolError } from '../../src/node/protocol-error.js';
import type { Operation } from '../../src/mvcc/operations.js';
import { runTurns } from '../../src/platform/turns.js';
import { encodePeerFrame } from '../../src/rpc/peer-codec.js';
import type { Hello, PeerResponse, ShardMessage } from '../../src/rpc/peer-messages.js';
import { MachineClock, SimClock } from '../../src/sim/clock.js';
import { SimLog } from '../../src/sim/logger.js';
import { SimNetwork } from '../../src/sim/network.js';
import { SimProcess } from '../../src/sim/process.js';
import { Scheduler } from '../../src/sim/scheduler.js';

const address = (id: number): string => `node-${id}:7100`;
const status: PeerResponse = {
  type: 'nodeStatus',
  status: { node: NodeId(2), pid: 1, softwareVersion: '1', replicas: [], logBytes: 1 },
};

/** Nodes 1 and 2 on a simulated network. Node 2 answers requests when the test says so. */
class Bench {
  readonly scheduler = new Scheduler(runTurns);
  readonly network = new SimNetwork(this.scheduler, { random: new Prng(1) });
  readonly log = new SimLog(this.scheduler);
  readonly raft: ShardMessage[] = [];
  readonly responds: ((response: PeerResponse) => void)[] = [];
  readonly unreachable: number[] = [];
  readonly failures: unknown[] = [];
  readonly processes = new Map<number, SimProcess>();

  async node(id: number, changes: Partial<PeersOptions> = {}): Promise<Peers> {
    const { clock, network } = this.#world(id);
    const peers = new Peers({
      clusterId: 'c-1',
      nodeId: NodeId(id),
      storeId: `store-${id}`,
      network,
      clock,
      logger: this.log.logger({ on: id }),
      random: new Prng(id),
      limits: defaultLimits,
      timing: defaultRaftTiming,
      addressOf: (node) => address(node),
      storeOf: () => undefined,
      handler: this.handler(),
      ...changes,
    });
    await this.scheduler.complete(peers.listen(address(id)), this.scheduler.nowMs + 1000);
    const tick = (): void => {
      clock.after(50, () => {
        peers.tick();
        tick();
      });
    };
    tick();
    return peers;
  }

  /** What made a node learn that it must not run. */
  readonly refused: QuorateError[] = [];

  handler(changes: Partial<PeerHandler> = {}): PeerHandler {
    return {
      onRaft: (_from, messages) => this.raft.push(...messages),
      onRequest: (_from, _request, respond) => this.responds.push(respond),
      onUnreachable: (node) => this.unreachable.push(node),
      onRefused: (error) => this.refused.push(error),
      onFailure: (error) => this.failures.push(error),
      ...changes,
    };
  }

  /** Whether what is sent now arrives. */
  async reaches(peers: Peers, node: number): Promise<boolean> {
    const before = this.raft.length;
    peers.sendRaft(NodeId(node), [message]);
    await this.run(10);
    return this.raft.splice(before).length > 0;
  }

  /** A machine that speaks as the test says. */
  stranger(): Network {
    return this.#world(9).network;
  }

  #world(id: number): { clock: SimClock; network: Network } {
    const process = new SimProcess(this.scheduler, `node-${id}`);
    this.processes.set(id, process);
    const clock = new SimClock(this.scheduler, process, new MachineClock(this.scheduler));
    return { clock, network: this.network.mount(process) };
  }

  run(ms: number): Promise<void> {
    return this.scheduler.run(this.scheduler.nowMs + ms);
  }

  /** Two nodes, of which the first is connected to the second. */
  async pair(limits: Partial<Limits> = {}, changes: Partial<PeersOptions> = {}): Promise<Peers> {
    const first = await this.node(1, { limits: { ...defaultLimits, ...limits } });
    await this.node(2, changes);
    first.sendRaft(NodeId(2), []);
    await this.run(100);
    expect(await this.reaches(first, 2)).toBe(true);
    return first;
  }

  reasons(): string[] {
    return this.log.lines
      .filter(({ level }) => level === 'warn')
      .map(({ fields }) => String(fields.reason ?? fields.error));
  }
}

/** How the request ended so far. */
function outcomeOf(promise: Promise<PeerResponse>): { ended: unknown } {
  const outcome: { ended: unknown } = { ended: undefined };
  promise.then(
    (response) => (outcome.ended = response),
    (error: unknown) => (outcome.ended = error),
  );
  return outcome;
}

const message: ShardMessage = {
  shard: ShardId(4),
  message: { type: 'timeoutNow', from: ReplicaId(1), to: ReplicaId(2), term: Term(3) },
};

describe('peers', () => {
  test('carry Raft messages and requests', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    first.sendRaft(NodeId(2), [message]);
    const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 1000));
    await bench.run(10);
    expect(bench.raft).toEqual([message]);
    expect(request.ended).toBeUndefined();
    defined(bench.responds[0], 'request')(status);
    await bench.run(10);
    expect(request.ended).toEqual(status);
  });

  test('send what is more than a frame as several', async () => {
    const bench = new Bench();
    const first = await bench.pair({ peerFrameBytesMax: 10_000 });
    const messages = Array.from({ length: 5 }, (_, i): ShardMessage => {
      const data = utf8('x'.repeat(4000));
      const [term, index] = [Term(1), LogIndex(i + 1)];
      const entries = [{ term, index, data }];
      const common = { from: ReplicaId(1), to: ReplicaId(2), term, prevLogTerm: term, commit: LogIndex(0) };
      const prevLogIndex = LogIndex(i);
      return { shard: ShardId(1), message: { type: 'appendRequest', ...common, prevLogIndex, entries } };
    });
    first.sendRaft(NodeId(2), messages);
    await bench.run(20);
    expect(bench.raft).toEqual(messages);
  });

  test('connect again after a connection broke, and say that the node was unreachable', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    bench.network.reset('node-1', 'node-2');
    await bench.run(1);
    expect(bench.unreachable).toEqual([2]);
    await bench.run(300);
    expect(await bench.reaches(first, 2)).toBe(true);
  });
});

describe('a peer is refused', () => {
  test.each<[string, Partial<PeersOptions>, string]>([
    ['of another cluster', { clusterId: 'c-2' }, 'it is of cluster c-1, this is c-2'],
    ['that lost its disk', { storeOf: () => 'store-0' }, 'lost its disk'],
    ['with the id of this node', { nodeId: NodeId(1) }, 'it says that it is node 1'],
  ])('%s', async (_what, changes, reason) => {
    const bench = new Bench();
    const first = await bench.node(1);
    await bench.node(2, changes);
    first.sendRaft(NodeId(2), [message]);
    await bench.run(3000);
    expect(await bench.reaches(first, 2)).toBe(false);
    expect(bench.raft).toEqual([]);
    expect(bench.reasons().some((text) => text.includes(reason))).toBe(true);
    // Only a lost disk is final: everything else may be mended on the other side.
    expect(bench.refused.length > 0).toBe(reason === 'lost its disk');
  });

  test('that answers in place of another', async () => {
    const bench = new Bench();
    const first = await bench.node(1, { addressOf: () => address(2) });
    await bench.node(2);
    first.sendRaft(NodeId(3), [message]);
    await bench.run(500);
    expect(await bench.reaches(first, 3)).toBe(false);
    expect(bench.reasons()).toContain('node 2 answers in place of node 3');
  });

  const hello: Hello = {
    type: 'hello',
    clusterId: 'c-1',
    nodeId: NodeId(9),
    storeId: 's',
    protocolMin: 1,
    protocolMax: 1,
  };
  test.each<[string, Uint8Array, string]>([
    ['of a later protocol', encodePeerFrame({ ...hello, protocolMin: 2, protocolMax: 3 }), 'it speaks protocol 2 to 3'],
    ['whose first frame is no hello', encodePeerFrame({ type: 'raft', messages: [message] }), 'is not a hello'],
    ['that sends garbage', utf8('GET / HTTP/1.1\r\n\r\n'), ''],
  ])('%s, and nothing of what it sends is heard', async (_what, frame, reason) => {
    const bench = new Bench();
    await bench.node(2);
    const connection: Connection = bench.stranger().connect(address(2));
    const ends: unknown[] = [];
    connection.start({ onFrame: () => undefined, onClose: (error) => ends.push(error) });
    connection.send(frame);
    connection.send(encodePeerFrame({ type: 'raft', messages: [message] }));
    await bench.run(100);
    expect(ends).toHaveLength(1);
    expect(bench.raft).toEqual([]);
    expect(bench.reasons().some((text) => text.includes(reason))).toBe(true);
  });

  test('that says hello and then speaks out of turn', async () => {
    const bench = new Bench();
    await bench.node(2);
    const connection: Connection = bench.stranger().connect(address(2));
    const ends: unknown[] = [];
    connection.start({ onFrame: () => undefined, onClose: (error) => ends.push(error) });
    connection.send(encodePeerFrame(hello));
    connection.send(encodePeerFrame({ type: 'raft', messages: [message] }));
    connection.send(encodePeerFrame(hello));
    connection.send(encodePeerFrame({ type: 'raft', messages: [message] }));
    await bench.run(100);
    expect([ends.length, bench.raft.length]).toEqual([1, 1]);
  });
});

describe('a request', () => {
  test('that is not sent, because there is no connection, was not applied', async () => {
    const bench = new Bench();
    const first = await bench.node(1);
    const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 1000));
    await bench.run(1);
    expect(request.ended).toMatchObject({ code: 'UNAVAILABLE', outcome: 'notApplied', retryAfterMs: 50 });
  });

  test('whose connection breaks has an unknown outcome', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000));
    await bench.run(10);
    bench.processes.get(2)?.kill();
    await bench.run(100);
    expect(request.ended).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' });
  });

  test('that is not answered in time has an unknown outcome, and may be sent again', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 300));
    await bench.run(250);
    expect(request.ended).toBeUndefined();
    await bench.run(150);
    expect(request.ended).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown', retryable: true });
    // The late answer is nobody's.
    defined(bench.responds[0], 'request')(status);
    await bench.run(50);
    expect(await bench.reaches(first, 2)).toBe(true);
  });

  test('of a node that closes has an unknown outcome', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000));
    await bench.scheduler.complete(first.close(), bench.scheduler.nowMs + 100);
    expect(request.ended).toMatchObject({ code: 'NODE_STOPPING', outcome: 'unknown' });
  });

  test('beyond what may be open is refused', async () => {
    const bench = new Bench();
    const first = await bench.pair({ peerRequestsInFlightMax: 2 });
    const requests = [1, 2, 3].map(() => outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000)));
    await bench.run(10);
    expect(requests.map(({ ended }) => ended === undefined)).toEqual([true, true, false]);
    expect(requests[2].ended).toMatchObject({ code: 'OVERLOADED', outcome: 'notApplied' });
  });
});

test('what waits for a slow connection is bounded: Raft messages are dropped, requests refused', async () => {
  const bench = new Bench();
  const first = await bench.pair({ peerQueueBytesMax: 500 });
  bench.network.setLink('node-1', 'node-2', { state: 'held' });
  for (let i = 0; i < 1000; i++) first.sendRaft(NodeId(2), [message]);
  const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 1000));
  await bench.run(100);
  expect(request.ended).toMatchObject({ code: 'OVERLOADED', outcome: 'notApplied', retryAfterMs: 50 });
  bench.network.heal();
  await bench.run(100);
  const frameBytes = encodePeerFrame({ type: 'raft', messages: [message] }).length;
  expect(bench.raft.length).toBeGreaterThan(0);
  expect((bench.raft.length - 1) * frameBytes).toBeLessThanOrEqual(500);
});

describe('a frame that cannot be handled', () => {
  async function sendTo(bench: Bench, onRaft: PeerHandler['onRaft']): Promise<void> {
    const first = await bench.node(1);
    await bench.node(2, { handler: bench.handler({ onRaft }) });
    for (let i = 0; i < 20; i++) {
      first.sendRaft(NodeId(2), [message]);
      await bench.run(100);
    }
  }

  test('because its sender broke the protocol closes the connection, and is logged once', async () => {
    const bench = new Bench();
    let count = 0;
    await sendTo(bench, () => {
      count++;
      throw new ProtocolError('shard 4: a timeoutNow of term 0');
    });
    // It came back with it again and again.
    expect(count).toBeGreaterThan(5);
    const lines = bench.log.lines.filter(({ level }) => level === 'error');
    expect(lines.map(({ fields }) => fields)).toMatchObject([
      { on: 2, peer: 1, reason: 'shard 4: a timeoutNow of term 0' },
    ]);
    expect(bench.unreachable.length).toBeGreaterThan(5);
    expect(bench.failures).toEqual([]);
  });

  test('because of a bug here is a failure of this node', async () => {
    const bench = new Bench();
    const bug = new AssertionError('a bug');
    await sendTo(bench, () => {
      throw bug;
    });
    expect(bench.failures[0]).toBe(bug);
    expect(bench.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('a connection', () => {
  test('on which nothing is said stays up', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    await bench.run(20_000);
    expect([bench.unreachable, bench.reasons()]).toEqual([[], []]);
    expect(await bench.reaches(first, 2)).toBe(true);
  });

  test.each(['both ways', 'there', 'back'])(
    'that is cut silently (%s) is given up, and comes back when it can',
    async (ways) => {
      const bench = new Bench();
      const first = await bench.pair();
      const request = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 60_000));
      if (ways !== 'back') bench.network.setLink('node-1', 'node-2', { state: 'held' });
      if (ways !== 'there') bench.network.setLink('node-2', 'node-1', { state: 'held' });
      await bench.run(1500);
      expect(bench.unreachable).toEqual([]);
      await bench.run(700);
      expect(bench.unreachable.length).toBeGreaterThan(0);
      expect(request.ended).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' });
      const closed = bench.log.lines.filter(({ message: text }) => text === 'closed a silent peer connection');
      if (ways !== 'back') expect(closed.map(({ fields }) => fields.on)).toContain(2);
      await bench.run(10_000);
      bench.network.heal();
      await bench.run(1000);
      expect(await bench.reaches(first, 2)).toBe(true);
    },
  );

  test('to a process that is paused for a moment stays up', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    bench.processes.get(2)?.pause();
    await bench.run(1400);
    bench.processes.get(2)?.resume();
    await bench.run(1000);
    expect([bench.unreachable, bench.reasons()]).toEqual([[], []]);
    expect(await bench.reaches(first, 2)).toBe(true);
  });

  test('is not given up by a process that was itself paused', async () => {
    const bench = new Bench();
    // Only the second can find the other silent.
    const patient = { ...defaultRaftTiming, electionTicksMax: 100_000 };
    const first = await bench.node(1, { timing: patient });
    const second = await bench.node(2);
    first.sendRaft(NodeId(2), []);
    second.sendRaft(NodeId(1), []);
    await bench.run(100);
    bench.processes.get(2)?.pause();
    await bench.run(30_000);
    bench.processes.get(2)?.resume();
    await bench.run(5000);
    expect([bench.unreachable, bench.reasons()]).toEqual([[], []]);
    expect([await bench.reaches(first, 2), await bench.reaches(second, 1)]).toEqual([true, true]);
  });

  test('that is accepted and never says hello is closed', async () => {
    const bench = new Bench();
    await bench.node(2);
    const ends: unknown[] = [];
    bench
      .stranger()
      .connect(address(2))
      .start({ onFrame: () => undefined, onClose: (error) => ends.push(error) });
    await bench.run(2500);
    expect(ends).toHaveLength(1);
  });
});

describe('the side that answers', () => {
  const response: PeerResponse = {
    type: 'scannedPage',
    records: [{ key: utf8('k'), version: Timestamp(1), value: utf8('v'.repeat(1000)) }],
    resume: undefined,
  };

  test('refuses requests beyond what may be open', async () => {
    const bench = new Bench();
    const limits = { ...defaultLimits, peerRequestsInFlightMax: 2 };
    const first = await bench.pair({}, { limits });
    const requests = [1, 2, 3].map(() => outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000)));
    await bench.run(20);
    expect(requests.map(({ ended }) => ended === undefined)).toEqual([true, true, false]);
    expect(requests[2].ended).toMatchObject({ type: 'failed', error: { code: 'OVERLOADED', outcome: 'notApplied' } });
    defined(bench.responds[0], 'request')(status);
    await bench.run(20);
    expect(outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000)).ended).toBeUndefined();
    await bench.run(20);
    expect(bench.responds).toHaveLength(3);
  });

  test('bounds the answers that wait for a slow connection', async () => {
    const bench = new Bench();
    const first = await bench.pair({}, { limits: { ...defaultLimits, peerQueueBytesMax: 5000 } });
    bench.network.setLink('node-2', 'node-1', { state: 'held' });
    const requests = Array.from({ length: 20 }, () =>
      outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000)),
    );
    await bench.run(20);
    for (const respond of bench.responds) respond(response);
    const late = outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000));
    await bench.run(20);
    bench.network.heal();
    await bench.run(20);
    const answered = requests.filter(({ ended }) => (ended as PeerResponse).type === 'scannedPage');
    expect(answered.length).toBeGreaterThanOrEqual(4);
    expect(answered.length).toBeLessThanOrEqual(6);
    // What was carried out may have had an effect; what came later was not looked at.
    expect(requests.at(-1)?.ended).toMatchObject({ error: { code: 'OVERLOADED', outcome: 'unknown' } });
    expect(late.ended).toMatchObject({ error: { code: 'OVERLOADED', outcome: 'notApplied' } });
  });

  test('closes the connection of a node that asks on and takes no answers', async () => {
    const bench = new Bench();
    const first = await bench.pair({}, { limits: { ...defaultLimits, peerQueueBytesMax: 500 } });
    bench.network.setLink('node-2', 'node-1', { state: 'held' });
    for (let i = 0; i < 100; i++) {
      void outcomeOf(first.request(NodeId(2), { type: 'nodeStatus' }, 10_000));
      await bench.run(1);
      bench.responds.at(-1)?.(response);
    }
    expect(bench.reasons()).toContain('it takes no answers');
  });
});

test('a request that does not fit a frame is refused', async () => {
  const bench = new Bench();
  const first = await bench.pair({ peerFrameBytesMax: 1000 });
  const operation: Operation = {
    type: 'put',
    key: utf8('k'),
    value: new Uint8Array(2000),
    condition: { type: 'none' },
    requestId: { session: new Uint8Array(16), seq: 1 },
  };
  const body = {
    type: 'execute',
    shard: ShardId(1),
    epoch: { membership: 1, range: 1 },
    operations: [operation],
  } as const;
  const request = outcomeOf(first.request(NodeId(2), body, 1000));
  await bench.run(1);
  expect(request.ended).toMatchObject({ code: 'OVERLOADED', outcome: 'notApplied' });
  expect((request.ended as Error).message).toContain('peerFrameBytesMax');
});
