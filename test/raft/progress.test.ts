/** What a leader takes from a follower's silence. */
import { expect, test } from 'vitest';
import { LogIndex } from '../../src/base/ids.js';
import { Progress } from '../../src/raft/progress.js';

function heardOf(): Progress {
  const progress = new Progress(LogIndex(1), { appendsInFlightMax: 1, commitNoticeTicks: 1 });
  progress.heard();
  return progress;
}

test.each([
  [1, { isAlive: true, isAway: false }],
  [2, { isAlive: false, isAway: false }],
  [20, { isAlive: false, isAway: false }],
  [21, { isAlive: false, isAway: true }],
])('after %i quorum checks since it was heard of', (checks, expected) => {
  const progress = heardOf();
  for (let i = 0; i < checks; i++) progress.quorumChecked();
  expect(progress).toMatchObject(expected);
  progress.heard();
  expect(progress).toMatchObject({ isAlive: true, isAway: false });
});

test('a follower that a quiet group leaves behind is away until it is heard of, also right after it was', () => {
  const progress = heardOf();
  progress.suspect();
  progress.leftBehind();
  for (let i = 0; i < 3; i++) {
    expect(progress).toMatchObject({ isAlive: false, isAway: true });
    progress.quorumChecked();
  }
  progress.heard();
  expect(progress).toMatchObject({ isAlive: true, isAway: false });
});
