import { describe, expect, it } from 'vitest';
import { excessBytes, levelBelow, levelTargets } from '../../../src/lsm/compaction/level-targets.js';
import { levels } from '../tables.js';

const options = { levelBytesBase: 100, levelBytesMultiplier: 10 };

function bottom(bytes: number, level = 6): ReturnType<typeof levels> {
  return levels(...Array.from({ length: 7 }, (_, i) => (i === level ? `1:a-b*${bytes}` : '')));
}

describe('levelTargets', () => {
  it.each([
    ['an empty tree', levels(), [0, 0, 0, 0, 0, 0, Infinity], 6],
    ['a small one', bottom(100), [0, 0, 0, 0, 0, 0, Infinity], 6],
    ['one level more', bottom(101), [0, 0, 0, 0, 0, 10.1, Infinity], 5],
    ['as long as the base level is small enough', bottom(1000), [0, 0, 0, 0, 0, 100, Infinity], 5],
    ['two levels more', bottom(5000), [0, 0, 0, 0, 50, 500, Infinity], 4],
    ['all levels', bottom(1e9), [0, 1e4, 1e5, 1e6, 1e7, 1e8, Infinity], 1],
    ['the most in another level', bottom(1000, 2), [0, 0, 0, 0, 0, 100, Infinity], 5],
  ])('%s', (_, shape, bytes, baseLevel) => {
    expect(levelTargets(shape, options)).toEqual({ bytes, baseLevel });
  });

  it('keep what is above the last level below an eighth of it', () => {
    for (let bytes = 1; bytes < 1e7; bytes = Math.ceil(bytes * 1.1)) {
      const above = levelTargets(bottom(bytes), options).bytes.slice(0, 6);
      expect(above.reduce((sum, target) => sum + target, 0)).toBeLessThan(bytes / 8);
    }
  });
});

describe('excessBytes', () => {
  it('is what levels have beyond their targets', () => {
    const shape = levels('9:a-b*7 8:a-b*7', '7:a-b*3', '', '', '6:a-b*60', '5:a-b*490', '4:a-b*5000');
    const targets = levelTargets(shape, options);
    expect(excessBytes(shape, targets, 2)).toEqual([14, 3, 0, 0, 10, 0, 0]);
    expect(excessBytes(shape, targets, 3)).toEqual([0, 3, 0, 0, 10, 0, 0]);
  });
});

describe('levelBelow', () => {
  it.each([
    [0, ['', '', '', '', '', '1:a-b*10', '2:a-b*1000'], 5],
    [5, ['', '', '', '', '', '1:a-b*10', '2:a-b*1000'], 6],
    [0, ['', '', '3:a-b*1', '', '', '1:a-b*10', '2:a-b*1000'], 2],
    [2, ['', '', '3:a-b*1', '', '', '1:a-b*10', '2:a-b*1000'], 5],
    [0, [], 6],
  ])('of %i in %j is %i', (level, lines, expected) => {
    const shape = levels(...lines);
    expect(levelBelow(level, shape, levelTargets(shape, options))).toBe(expected);
  });
});
