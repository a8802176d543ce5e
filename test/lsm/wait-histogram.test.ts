import { describe, expect, it } from 'vitest';
import { WaitHistogram } from '../../src/lsm/wait-histogram.js';

describe('WaitHistogram', () => {
  it('counts each wait once, where its length belongs', () => {
    const histogram = new WaitHistogram();
    for (const ms of [0, 1, 1.1, 2, 49, 50, 51, 5000, 5001, 1e9]) histogram.add(ms);
    const counted = histogram.classes.filter(({ count }) => count > 0);
    expect(counted).toEqual([
      { msMax: 1, count: 2 },
      { msMax: 2, count: 2 },
      { msMax: 50, count: 2 },
      { msMax: 100, count: 1 },
      { msMax: 5000, count: 1 },
      { msMax: undefined, count: 2 },
    ]);
  });

  it('has classes that JSON can tell apart', () => {
    const { classes } = new WaitHistogram();
    expect(JSON.parse(JSON.stringify(classes))).toEqual(classes);
  });
});
