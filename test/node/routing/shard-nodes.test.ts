import { describe, expect, test } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.js';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId } from '../../../src/base/ids.js';
import { ShardNodes } from '../../../src/node/routing/shard-nodes.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { ShardDescriptor } from '../../../src/shard/descriptor.js';
import type { KvExecutor } from '../../../src/shard/kv-executor.js';

const body: PeerRequest = { type: 'execute', shard: ShardId(1), epoch: { membership: 1, range: 1 }, operations: [] };
const executed: PeerResponse = { type: 'executed', results: [] };

function notLeader(leader?: number): PeerResponse {
  const error = new QuorateError('NOT_LEADER', 'not here');
  return { type: 'failed', error, leader: leader === undefined ? undefined : NodeId(leader) };
}

/** Node 1's view of a shard on nodes 2 to 5, and on itself where it has a replica. */
class Bench {
  readonly shard: ShardDescriptor;
  readonly asked: { node: number; timeoutMs: number; relay: boolean }[] = [];
  readonly unreachable = new Set<number>();
  nowMs = 0;
  /** What each node answers; an error is thrown. */
  answers: (node: number, body: PeerRequest, relay: boolean) => PeerResponse | QuorateError = () => executed;
  readonly nodes: ShardNodes;

  constructor(replica?: { readonly leaderNode: NodeId | undefined }) {
    const members = replica === undefined ? [2, 3, 4, 5] : [1, 2, 3, 4, 5];
    this.shard = {
      shard: ShardId(1),
      start: emptyBytes,
      end: emptyBytes,
      epoch: { membership: 1, range: 1 },
      replicas: members.map((id) => ({ replica: ReplicaId(id), node: NodeId(id) })),
    };
    this.nodes = new ShardNodes({
      nodeId: NodeId(1),
      clock: { monotonicMs: () => this.nowMs },
      executor: () => (replica === undefined ? undefined : ({ replica } as unknown as KvExecutor)),
      isReachable: (node) => !this.unreachable.has(node),
      request: (node, body, timeoutMs, relay) => {
        this.asked.push({ node, timeoutMs, relay });
        this.nowMs += 10;
        const answer = this.answers(node, body, relay);
        return answer instanceof QuorateError ? Promise.reject(answer) : Promise.resolve(answer);
      },
    });
  }

  turns(count: number, stale = false): (number | undefined)[] {
    return Array.from({ length: count }, (_, i) => this.nodes.choose(this.shard, i + 1, stale));
  }

  ask(node: number, timeoutMs = 1000): Promise<PeerResponse> {
    return this.nodes.ask(this.shard, NodeId(node), body, timeoutMs);
  }
}

describe('where to ask for a shard', () => {
  test('is the leader that the replica here knows, and nowhere when that is nobody or this node', () => {
    expect(new Bench({ leaderNode: NodeId(4) }).turns(2)).toEqual([4, 4]);
    const electing = new Bench({ leaderNode: undefined });
    expect([electing.turns(4), electing.asked]).toEqual([[undefined, undefined, undefined, undefined], []]);
    expect(new Bench({ leaderNode: NodeId(1) }).turns(1)).toEqual([undefined]);
  });

  test('without a replica here is every node in turn, those last that cannot be reached', () => {
    const bench = new Bench();
    expect(bench.turns(5)).toEqual([2, 3, 4, 5, 2]);
    bench.unreachable.add(2).add(4);
    expect(bench.turns(5)).toEqual([3, 5, 2, 4, 3]);
  });

  test('for a stale read is every other node in turn', async () => {
    expect(new Bench({ leaderNode: NodeId(4) }).turns(4, true)).toEqual([2, 3, 4, 5]);
    const bench = new Bench();
    bench.answers = (node) => (node === 5 ? executed : notLeader(5));
    await bench.ask(2);
    expect(bench.turns(4, true)).toEqual([2, 3, 4, 5]);
  });
});

describe('a node that does not lead', () => {
  test('names the leader, who is asked at once within the same time, and first from then on', async () => {
    const bench = new Bench();
    bench.answers = (node) => (node === 5 ? executed : notLeader(5));
    expect(await bench.ask(2)).toBe(executed);
    expect(bench.asked).toEqual([
      { node: 2, timeoutMs: 1000, relay: false },
      { node: 5, timeoutMs: 990, relay: false },
    ]);
    expect(bench.turns(5)).toEqual([5, 2, 3, 4, 5]);
  });

  test('that names another which does not lead either is not followed further', async () => {
    const bench = new Bench();
    bench.answers = (node) => notLeader(node === 2 ? 3 : 2);
    expect(await bench.ask(2)).toEqual(notLeader(2));
    expect(bench.asked.map(({ node }) => node)).toEqual([2, 3]);
    expect(bench.turns(4)).toEqual([2, 3, 4, 5]);
  });

  test.each([2, 1, 9, undefined])('is not followed to itself, back here, or out of the shard: %s', async (leader) => {
    const bench = new Bench();
    bench.answers = () => notLeader(leader);
    expect(await bench.ask(2)).toEqual(notLeader(leader));
    expect(bench.asked).toHaveLength(1);
  });

  test('whose answer may hide an effect is not followed', async () => {
    const bench = new Bench();
    const error = new QuorateError('NOT_LEADER', 'was here', { outcome: 'unknown' });
    bench.answers = () => ({ type: 'failed', error, leader: NodeId(3) });
    await bench.ask(2);
    expect(bench.asked).toHaveLength(1);
  });

  test.each<[string, PeerResponse | QuorateError]>([
    ['does not lead any more', notLeader()],
    ['cannot be reached', new QuorateError('UNAVAILABLE', 'gone')],
  ])('is asked first no more when it was named and %s', async (_what, answer) => {
    const bench = new Bench();
    bench.answers = (node) => (node === 5 ? executed : notLeader(5));
    await bench.ask(2);
    bench.answers = () => answer;
    await bench.ask(5).catch(() => undefined);
    expect(bench.turns(4)).toEqual([2, 3, 4, 5]);
  });
});

describe('with a line that is cut', () => {
  /** Node 5 leads. Node 3 hears it; the others do not, and this node cannot reach it. */
  function cut(bench: Bench): Bench {
    bench.unreachable.add(5);
    bench.answers = (node, body, relay) => {
      if (node === 5) return new QuorateError('UNAVAILABLE', 'node 5 cannot be reached');
      if (body.type === 'askStanding')
        return { type: 'standing', group: undefined, leader: node === 3 ? NodeId(5) : undefined };
      if (node === 3 && relay) return executed;
      return notLeader(node === 3 ? 5 : undefined);
    };
    return bench;
  }

  test('without a replica here: who names the leader is asked to hand it on, at once and from then on', async () => {
    const bench = cut(new Bench());
    expect(await bench.ask(3)).toBe(executed);
    expect(bench.asked.map(({ node, relay }) => [node, relay])).toEqual([
      [3, false],
      [3, true],
    ]);
    expect(bench.turns(2)).toEqual([3, 2]);
    expect(await bench.ask(3)).toBe(executed);
    expect(bench.asked).toHaveLength(3);
  });

  test.each([undefined, NodeId(5)])(
    'a replica that has the leader %s: the others are asked who leads, one by one',
    async (leaderNode) => {
      const bench = cut(new Bench({ leaderNode }));
      for (let tries = 5; bench.nodes.choose(bench.shard, tries, false) !== 3; tries++) {
        expect(tries).toBeLessThan(8);
        expect(bench.nodes.choose(bench.shard, tries, false)).toBe(leaderNode);
        await Promise.resolve();
        bench.nowMs += 100;
      }
      expect(bench.asked.map(({ node }) => node)).toEqual([2, 3]);
      expect(bench.turns(1)).toEqual([3]);
      expect(await bench.ask(3)).toBe(executed);
      expect(bench.asked[2]).toEqual({ node: 3, timeoutMs: 1000, relay: true });
    },
  );

  test('a leader that the others name and that can be reached is asked itself', async () => {
    const bench = cut(new Bench({ leaderNode: undefined }));
    bench.unreachable.clear();
    bench.nodes.choose(bench.shard, 5, false);
    bench.nowMs += 100;
    bench.nodes.choose(bench.shard, 6, false);
    await Promise.resolve();
    expect(bench.turns(1)).toEqual([5]);
  });

  test('who could not hand it on is not asked to any more, until it names a leader again', async () => {
    const bench = cut(new Bench());
    await bench.ask(3);
    bench.answers = () => notLeader();
    expect(await bench.ask(3)).toEqual(notLeader());
    expect(bench.asked.at(-1)).toMatchObject({ node: 3, relay: true });
    await bench.ask(3);
    expect(bench.asked.at(-1)).toMatchObject({ node: 3, relay: false });
  });

  test('a leader that can be reached again is asked itself', async () => {
    const bench = cut(new Bench());
    await bench.ask(3);
    bench.unreachable.clear();
    expect(bench.turns(1)).toEqual([5]);
    const replica = { leaderNode: undefined as NodeId | undefined };
    const electing = cut(new Bench(replica));
    await electing.ask(3);
    expect(electing.turns(1)).toEqual([3]);
    replica.leaderNode = NodeId(4);
    expect(electing.turns(1)).toEqual([4]);
  });
});
