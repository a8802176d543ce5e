import { describe, expect, it } from 'vitest';
import { LogIndex } from '../../src/base/ids.js';
import { Progress } from '../../src/raft/progress.js';

const zero = LogIndex(0);
const one = LogIndex(1);
const two = LogIndex(2);
const readTicksMax = 10;

/** Of a follower that has entry 1, which was sent before it was committed; `ticks` have passed since. */
function withEntry(commitNoticeTicks: number, ticks: number): Progress {
  const progress = new Progress(one, { appendsInFlightMax: 4, commitNoticeTicks });
  progress.accepted(zero, one);
  progress.sent(one, zero);
  for (let i = 0; i < ticks; i++) progress.tick(readTicksMax);
  progress.accepted(one, one);
  return progress;
}

describe('a commit index that no entry takes along', () => {
  it('is told at once where it waits for no tick', () => {
    expect(withEntry(0, 0).nextAppend(one, one)).toBe('empty');
  });

  it('waits for a whole tick with 2: one that came before the acknowledgement is not enough', () => {
    const progress = withEntry(2, 1);
    expect(progress.nextAppend(one, one)).toBe('nothing');
    progress.tick(readTicksMax);
    expect(progress.nextAppend(one, one)).toBe('empty');
    progress.sent(one, one);
    expect(progress.nextAppend(one, one)).toBe('nothing');
  });

  it('goes with the next entry, after which it is waited anew', () => {
    const progress = withEntry(2, 1);
    expect(progress.nextAppend(two, one)).toBe('entries');
    progress.sent(two, one);
    progress.accepted(two, one);
    progress.tick(readTicksMax);
    expect(progress.nextAppend(two, two)).toBe('nothing');
  });
});
