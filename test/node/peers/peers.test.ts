import { describe, expect, test } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { deferred } from '../../../src/base/promises.js';
import { LogIndex, NodeId, ReplicaId, ShardId, Term } from '../../../src/base/ids.js';
import type { Connection } from '../../../src/env/network.js';
import { AssertionError, defined } from '../../../src/base/assert.js';
import type { PeerHandler } from '../../../src/node/peers/peer-handler.js';
import type { PeersOptions } from '../../../src/node/peers/peers.js';
import { ProtocolError } from '../../../src/node/peers/protocol-error.js';
import { encodePeerFrame } from '../../../src/rpc/peer-codec.js';
import type { Hello, ShardMessage } from '../../../src/rpc/peer-messages.js';
import { address, Bench, faultOfStores, message, outcomeOf, status } from './peers-bench.js';

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

  test('give a message for a replica to its data directory only', async () => {
    const bench = new Bench();
    const first = await bench.pair();
    first.sendRaft(NodeId(2), [{ ...message, storeId: 'store-of-before' }]);
    first.sendRaft(NodeId(2), [
      { ...message, storeId: 'store-of-before' },
      { ...message, storeId: 'store-2' },
    ]);
    await bench.run(10);
    expect(bench.raft).toEqual([message]);
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

describe('peers that are closed', () => {
  test('before they listen take no address', async () => {
    const bench = new Bench();
    const { peers } = bench.silent(1);
    await peers.close();
    await expect(peers.listen(address(1))).rejects.toMatchObject({ code: 'NODE_STOPPING' });
    expect(await bench.node(1)).toBeDefined();
  });

  // Seed 1300002: a node whose disk failed while it started listened on, and failed by an assertion when somebody came.
  test('while they begin to listen give the address back, and close what came in meanwhile', async () => {
    const bench = new Bench();
    const held = deferred<void>();
    const network = bench.stranger(1);
    const { peers } = bench.silent(1, {
      network: {
        ...network,
        listen: async (wanted, onConnection) => {
          const listener = await network.listen(wanted, onConnection);
          await held.promise;
          return listener;
        },
      },
    });
    const listening = peers.listen(address(1));
    await bench.run(10);
    await peers.close();
    const closed: unknown[] = [];
    const connection = bench.stranger().connect(address(1));
    connection.start({ onFrame: () => undefined, onClose: (error) => closed.push(error) });
    await bench.run(10);
    expect(closed).toHaveLength(1);
    held.resolve();
    await expect(listening).rejects.toMatchObject({ code: 'NODE_STOPPING' });
    expect(await bench.node(1)).toBeDefined();
  });
});

describe('a peer is refused', () => {
  test.each<[string, Partial<PeersOptions>, string]>([
    ['of another cluster', { clusterId: 'c-2' }, 'it is of cluster c-1, this is c-2'],
    ['that lost its disk', { storeFault: faultOfStores(new Map([[1, 'store-0']])) }, 'lost its disk'],
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

  test('that comes back with another disk before it is known how it had joined', async () => {
    const bench = new Bench();
    const first = await bench.node(1);
    const second = await bench.node(2);
    second.sendRaft(NodeId(1), []);
    await bench.run(100);
    expect(await bench.reaches(second, 1)).toBe(true);
    await second.close();
    bench.processes.get(2)?.kill();
    const wiped = await bench.node(2, { storeId: 'store-new' });
    wiped.sendRaft(NodeId(1), []);
    await bench.run(3000);
    expect(await bench.reaches(wiped, 1)).toBe(false);
    expect(bench.refused.length).toBeGreaterThan(0);
    expect(bench.reasons().some((text) => text.includes('lost its disk'))).toBe(true);
    await first.close();
  });

  test('as soon as it is known that it had joined with another disk', async () => {
    const bench = new Bench();
    const stores = new Map<number, string>();
    const first = await bench.node(1, { storeFault: faultOfStores(stores) });
    const second = await bench.node(2);
    second.sendRaft(NodeId(1), []);
    await bench.run(100);
    expect(await bench.reaches(second, 1)).toBe(true);
    stores.set(2, 'store-0');
    await bench.run(3000);
    expect(await bench.reaches(second, 1)).toBe(false);
    expect(bench.refused.length).toBeGreaterThan(0);
    await first.close();
  });

  test('as soon as it is known, also where this node had dialled it', async () => {
    const bench = new Bench();
    const stores = new Map<number, string>();
    const first = await bench.node(1, { storeFault: faultOfStores(stores) });
    const second = await bench.node(2);
    first.sendRaft(NodeId(2), []);
    await bench.run(100);
    expect(await bench.reaches(first, 2)).toBe(true);
    stores.set(2, 'store-0');
    await bench.run(100);
    expect(first.isReachable(NodeId(2))).toBe(false);
    first.sendRaft(NodeId(2), [message]);
    await bench.run(100);
    expect(bench.raft).toEqual([]);
    await second.close();
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
    peerAddress: '',
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

describe('a node that nobody reaches', () => {
  const said = (bench: Bench): unknown[] =>
    bench.log.lines.filter(({ message }) => message.includes('is its peerAddress right?')).map(({ fields }) => fields);

  test('though the others answer it says so, once, with the address that it has told them', async () => {
    const bench = new Bench();
    await bench.node(1);
    const second = await bench.node(2, { peerAddress: 'elsewhere:7100' });
    second.connect(NodeId(1));
    await bench.run(5000);
    expect(said(bench)).toEqual([]);
    await bench.run(60_000);
    expect(said(bench)).toEqual([{ on: 2, peerAddress: 'elsewhere:7100', answering: [1] }]);
  });

  test('says nothing while another one dials it, or none answers', async () => {
    const bench = new Bench();
    const first = await bench.node(1);
    const second = await bench.node(2);
    second.connect(NodeId(1));
    first.connect(NodeId(2));
    first.connect(NodeId(3));
    await bench.run(60_000);
    const alone = new Bench();
    (await alone.node(1)).connect(NodeId(2));
    await alone.run(60_000);
    expect([...said(bench), ...said(alone)]).toEqual([]);
  });
});
