import { describe, expect, test } from 'vitest';
import { LogIndex, ReplicaId, Term } from '../../src/base/ids.js';
import { createConfiguration } from '../../src/raft/config.js';
import { droppableIndex } from '../../src/raft/log-truncation.js';
import type { RaftStatus } from '../../src/raft/status.js';

type Follower = RaftStatus['followers'][number];

function follower(matchIndex: number, changes: Partial<Follower> = {}): Follower {
  return {
    replica: ReplicaId(2),
    state: 'replicate',
    matchIndex: LogIndex(matchIndex),
    nextIndex: LogIndex(matchIndex + 1),
    appendsInFlight: 0,
    pinnedIndex: LogIndex(0),
    active: true,
    isAlive: true,
    isAway: false,
    ...changes,
  };
}

function leader(followers: readonly Follower[]): RaftStatus {
  return {
    self: ReplicaId(1),
    role: 'leader',
    term: Term(1),
    leader: ReplicaId(1),
    vote: ReplicaId(1),
    firstIndex: LogIndex(1),
    lastIndex: LogIndex(1000),
    stableIndex: LogIndex(1000),
    commitIndex: LogIndex(1000),
    appliedIndex: LogIndex(990),
    transferTarget: 0,
    configuration: createConfiguration({ voters: [1, 2, 3].map(ReplicaId) }),
    isQuiet: false,
    followers,
  };
}

describe('a leader drops entries', () => {
  test.each<[string, readonly Follower[], number]>([
    ['up to what it has applied', [follower(1000)], 990],
    ['up to what its slowest follower has', [follower(1000), follower(950)], 950],
    ['up to what one has that is catching up', [follower(1000), follower(600)], 600],
    ['without waiting for one that lags too far', [follower(1000), follower(599)], 990],
    ['up to what one has that is away', [follower(1000), follower(900, { isAway: true })], 900],
    ['without waiting for one that lags and is away', [follower(1000), follower(899, { isAway: true })], 990],
    ['up to what one has that was silent for a moment', [follower(1000), follower(600, { isAlive: false })], 600],
    ['without waiting for one that needs a snapshot', [follower(1000), follower(950, { state: 'snapshot' })], 990],
    [
      'little that one may lack of which a new leader does not know yet what it has',
      [follower(1000), follower(0, { state: 'probe' })],
      600,
    ],
    ['without waiting for one that is away and not known', [follower(0, { state: 'probe', isAway: true })], 990],
    [
      'up to a snapshot that is on its way',
      [follower(1000), follower(100, { state: 'snapshot', pinnedIndex: LogIndex(700) })],
      700,
    ],
    [
      'up to one that was delivered and is not acknowledged',
      [follower(1000), follower(100, { state: 'probe', pinnedIndex: LogIndex(700) })],
      700,
    ],
    [
      'without waiting for one that lags too far behind the snapshot that it has',
      [follower(1000), follower(100, { state: 'probe', pinnedIndex: LogIndex(599) })],
      990,
    ],
    [
      'without waiting for one that is away with the snapshot that it has',
      [follower(1000), follower(100, { state: 'probe', pinnedIndex: LogIndex(700), isAway: true })],
      990,
    ],
  ])('%s', (_what, followers, upTo) => {
    expect(droppableIndex(leader(followers), { away: 100, catchingUp: 400 })).toBe(upTo);
  });
});
