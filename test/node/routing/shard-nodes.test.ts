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
  readonly asked: { node: number; timeoutMs: number }[] = [];
  readonly unreachable = new Set<number>();
  nowMs = 0;
  /** What each node answers; an error is thrown. */
  answers: (node: number) => PeerResponse | QuorateError = () => executed;
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
      request: (node, _body, timeoutMs) => {
        this.asked.push({ node, timeoutMs });
        this.nowMs += 10;
        const answer = this.answers(node);
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
    expect(new Bench({ leaderNode: undefined }).turns(1)).toEqual([undefined]);
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
      { node: 2, timeoutMs: 1000 },
      { node: 5, timeoutMs: 990 },
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
