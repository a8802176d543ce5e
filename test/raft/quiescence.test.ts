/** Who may fall quiet, where scripts cannot tell: their replicas apply at once, and hear of all that is committed. */
import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import type { Ready } from '../../src/raft/types.js';
import { Bench, peer, self, start } from './bench.js';

/** As `Bench.take`, but what may be applied is not, and what is written is durable at once. */
function written({ raft, log }: Bench): Ready {
  const ready = raft.takeReady();
  log.write(ready.entries);
  raft.synced(ready.syncPoint);
  return ready;
}

test.each([
  { what: 'has all, and has applied it', terms: [1, 1], commit: 2, applied: 2, quiet: true },
  { what: 'lacks an entry', terms: [1], commit: 1, applied: 1, quiet: false },
  { what: 'has an entry more', terms: [1, 1, 1], commit: 2, applied: 2, quiet: false },
  { what: 'does not know that all is committed', terms: [1, 1], commit: 1, applied: 1, quiet: false },
  { what: 'has not applied all', terms: [1, 1], commit: 2, applied: 1, quiet: false },
])('a follower that $what becomes quiet when it is asked: $quiet', ({ terms, commit, applied, quiet }) => {
  const bench = new Bench();
  bench.append(1, start, terms, commit);
  written(bench);
  bench.raft.applied(LogIndex(applied));
  bench.raft.step({
    type: 'heartbeat',
    from: peer,
    to: self,
    term: Term(1),
    commit: LogIndex(commit),
    leaderCommit: LogIndex(2),
    probe: 0,
    readRound: 0,
    quiesce: true,
  });
  const { messages } = written(bench);
  expect(messages.at(-1)).toMatchObject({ type: 'heartbeatResponse', quiet });
  expect(bench.raft.isQuiet).toBe(quiet);
});

test('a leader asks nobody to be quiet before it has applied all', () => {
  const bench = new Bench({ quiesceTicks: 2 });
  const asks = (): boolean => {
    for (let i = 0; i < 4; i++) bench.raft.tick();
    return written(bench).messages.some((message) => message.type === 'heartbeat' && message.quiesce);
  };
  bench.lead();
  bench.raft.propose(utf8('a'));
  written(bench);
  bench.acknowledge(2);
  bench.acknowledge(2, ReplicaId(3));
  expect(written(bench).commitIndex).toBe(2);
  expect(asks()).toBe(false);
  bench.raft.applied(LogIndex(2));
  expect(asks()).toBe(true);
});
