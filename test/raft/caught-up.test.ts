import { expect, test } from 'vitest';
import { LogIndex } from '../../src/base/ids.js';
import { isCaughtUp } from '../../src/raft/caught-up.js';

// Ten entries are committed; three may be missing.
test.each([
  ['replicate', 10, true, true],
  ['replicate', 7, true, true],
  ['replicate', 6, true, false],
  ['replicate', 12, true, true],
  ['replicate', 10, false, false],
  // It was suspected, and nothing was written since: there is nothing to send that would find out more.
  ['probe', 10, true, true],
  ['probe', 12, true, true],
  ['probe', 10, false, false],
  // Where the logs match is a guess, and what is missing may be all.
  ['probe', 9, true, false],
  ['probe', 0, true, false],
  ['snapshot', 7, true, false],
] as const)(
  'a follower in state %s that has stored %d, alive: %s, is caught up: %s',
  (state, matchIndex, isAlive, isCaught) => {
    expect(isCaughtUp({ state, matchIndex: LogIndex(matchIndex), isAlive }, LogIndex(10), 3)).toBe(isCaught);
  },
);
