import { describe, expect, it } from 'vitest';
import { treeOptions } from '../../src/lsm/tree-options.js';
import { levelSizes, writeBacklogs, type WorkBehind } from '../../src/lsm/write-backlogs.js';
import { writeDelay } from '../../src/lsm/write-delay.js';
import { levels } from './tables.js';

const options = treeOptions({ memtableBytesMax: 100 });

const nothing: WorkBehind = {
  activeBytes: 0,
  sealedCount: 0,
  budget: { bytes: 0, stopBytes: 1000 },
  levelSizes: { level0Tables: 0, largestLevelBytes: 0, unmergedBytes: 0 },
  values: { fileBytes: 0, garbageBytes: 0 },
  flushRate: 100,
  level0Rate: 10,
  lastLevelRate: 20,
  valueRate: 5,
};

/** What a byte costs. */
function delay(behind: Partial<WorkBehind>): number | 'stop' {
  const decided = writeDelay(writeBacklogs({ ...nothing, ...behind }, options));
  return decided.type === 'none' ? 0 : decided.type === 'stop' ? 'stop' : decided.msPerByte;
}

const sizes = (level0Tables: number, unmergedBytes = 0, largestLevelBytes = 0): Partial<WorkBehind> => ({
  levelSizes: { level0Tables, unmergedBytes, largestLevelBytes },
});

describe('writeBacklogs', () => {
  it.each<[string, Partial<WorkBehind>, number | 'stop']>([
    ['nothing behind', {}, 0],
    ['a memtable that fills', { activeBytes: 99 }, 0],
    ['memtables half way', { sealedCount: 3 }, 0.01],
    ['too many memtables', { sealedCount: 4 }, 'stop'],
    ['the budget half way', { budget: { bytes: 875, stopBytes: 1000 } }, 0.01],
    ['the whole budget', { budget: { bytes: 1000, stopBytes: 1000 } }, 'stop'],
    ['level 0 half way', sizes(10), 0.1],
    ['garbage of large values that is allowed', { values: { fileBytes: 14_000, garbageBytes: 4000 } }, 0],
    ['half as much again', { values: { fileBytes: 16_375, garbageBytes: 6375 } }, 0.2],
    ['far more', { values: { fileBytes: 99_000, garbageBytes: 89_000 } }, 99.8],
    ['level 0 and a memtable', { ...sizes(9), sealedCount: 1 }, 0.1],
    ['level 0 at its end', sizes(12), 'stop'],
    ['what level 0 takes, before anything is merged', sizes(0, 400), 0],
    ['half as much again', sizes(0, 600), 0.05],
    ['an eighth of the largest level', sizes(0, 1250, 10_000), 0],
    ['half as much again, of a large tree', sizes(0, 1875, 10_000), 0.05],
    ['before anything got to the last level', { ...sizes(0, 600), lastLevelRate: undefined }, 0.1],
    ['before anything was flushed', { ...sizes(0, 600), lastLevelRate: undefined, flushRate: undefined }, 0],
  ])('%s', (_, behind, expected) => {
    const decided = delay(behind);
    if (typeof expected === 'number' && typeof decided === 'number') expect(decided).toBeCloseTo(expected, 9);
    else expect(decided).toBe(expected);
  });

  it('press hard for much that is stored twice, and do not stop writes', () => {
    expect(delay(sizes(0, 1e9))).toBeGreaterThan(10);
    expect(delay(sizes(0, 1e9))).not.toBe('stop');
    expect(delay({ ...sizes(9), sealedCount: 3.9 })).not.toBe('stop');
  });
});

describe('levelSizes', () => {
  it('tell the largest level from the rest', () => {
    const shape = levels('9:a-b*7 8:a-b*7', '', '', '', '', '5:a-b*490', '4:a-b*300 3:c-d*300');
    expect(levelSizes(shape)).toEqual({
      levels: shape,
      level0Tables: 2,
      largestLevelBytes: 600,
      unmergedBytes: 504,
    });
  });

  it('of a tree that was flushed once', () => {
    expect(levelSizes(levels('1:a-b*7'))).toMatchObject({ level0Tables: 1, largestLevelBytes: 0, unmergedBytes: 7 });
  });
});
