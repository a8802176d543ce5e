import { describe, expect, test } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import type { RaftMessage } from '../../src/raft/types.js';
import { encodePeerFrame } from '../../src/rpc/peer-codec.js';
import type { Replica } from '../../src/shard/replica.js';
import { SimProcess } from '../../src/sim/process.js';
import { Scenario } from './scenario.js';

type Unaddressed<Message> = Message extends RaftMessage ? Omit<Message, 'from' | 'to' | 'term'> : never;

/** Says to the leader of shard 1, in the name of one of its followers, what no follower would. */
async function forge(
  forged: Unaddressed<RaftMessage>,
  changes: (leader: Replica) => Partial<RaftMessage> = () => ({}),
): Promise<void> {
  const scenario = await Scenario.formed({ seed: 61 });
  const { scheduler, network, log } = scenario.cluster;
  const leader = scenario.leaderOf();
  const [follower] = scenario.others(leader);
  await scenario.written(scenario.put(leader, 'k', 'before'));
  const replica = scenario.replica(leader);
  const termBefore = replica.term;
  const address = { from: scenario.replica(follower).replicaId, to: replica.replicaId, term: replica.term };
  const message = { ...address, ...forged, ...changes(replica) } as RaftMessage;

  const connection = network.mount(new SimProcess(scheduler, 'node-9')).connect(`node-${leader}:7100`);
  const ends: unknown[] = [];
  connection.start({ onFrame: () => undefined, onClose: (error) => ends.push(error) });
  const { identity } = defined(scenario.machine(follower).node, 'node');
  connection.send(encodePeerFrame({ type: 'hello', ...identity, peerAddress: '', protocolMin: 1, protocolMax: 1 }));
  connection.send(encodePeerFrame({ type: 'raft', messages: [{ shard: ShardId(1), message }] }));
  await scenario.run(1000);

  expect(ends).toHaveLength(1);
  const lines = log.lines.filter(({ message: text }) => text.startsWith('a peer broke the protocol'));
  expect(lines).toHaveLength(1);
  expect(scenario.machine(leader).failure).toBeUndefined();
  expect([scenario.replica(leader).isLeader, scenario.replica(leader).term]).toEqual([true, termBefore]);
  expect(await scenario.value(scenario.get(follower, 'k'))).toBe('before');
}

describe('a forged message closes its connection and changes nothing:', () => {
  test('an acknowledgement of what was never sent', async () => {
    const nothing = { hintIndex: LogIndex(0), hintTerm: Term(0) };
    await forge({ type: 'appendResponse', logIndex: LogIndex(999_999), rejected: false, ...nothing });
  });

  test('a term out of reach', async () => {
    await forge({ type: 'heartbeatResponse', readRound: 0, probe: 0, quiet: false }, () => ({
      term: Term(2 ** 53 - 2),
    }));
  });

  test('an append to the leader of the term', async () => {
    const indexes = { prevLogIndex: LogIndex(0), prevLogTerm: Term(0), commit: LogIndex(0) };
    await forge({ type: 'appendRequest', entries: [], ...indexes });
  });

  test('a message of a replica on another node', async () => {
    await forge({ type: 'heartbeatResponse', readRound: 0, probe: 0, quiet: false }, ({ replicaId }) => ({
      from: replicaId,
    }));
  });
});
