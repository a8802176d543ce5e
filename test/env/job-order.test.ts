import { describe, expect, it } from 'vitest';
import { nextJob } from '../../src/env/job-order.js';

const jobs = (text: string): { isUrgent: boolean }[] => [...text].map((kind) => ({ isUrgent: kind === 'U' }));

describe('nextJob', () => {
  it.each([
    // waiting, running, size, which begins
    ['', '', 1, undefined],
    ['o', '', 1, 0],
    ['oo', '', 1, 0],
    ['oU', '', 1, 0],
    ['o', 'o', 1, undefined],
    ['oU', 'o', 1, 1],
    ['U', 'oU', 1, undefined],
    ['U', 'U', 1, undefined],
    ['o', 'U', 1, 0],
    ['Uo', 'U', 1, 1],
    ['UU', 'oU', 2, undefined],
    ['ooU', 'oo', 2, 2],
    ['oo', 'o', 2, 0],
    ['oo', 'oo', 2, undefined],
    ['UUo', 'oU', 2, 2],
    ['U', 'oo', 2, 0],
    ['o', 'ooU', 2, undefined],
  ])('of %j, while %j run in %i threads and one', (waiting, running, size, expected) => {
    expect(nextJob(jobs(waiting), jobs(running), size)).toBe(expected);
  });

  it.each([1, 2, 3])('keeps neither kind waiting for the other, with %i threads and one', (size) => {
    const running: { isUrgent: boolean }[] = [];
    const waiting = jobs('UUUUUUoooooo');
    for (let at = nextJob(waiting, running, size); at !== undefined; at = nextJob(waiting, running, size)) {
      running.push(...waiting.splice(at, 1));
    }
    expect(running).toHaveLength(size + 1);
    expect(running.some(({ isUrgent }) => isUrgent)).toBe(true);
    expect(running.some(({ isUrgent }) => !isUrgent)).toBe(true);
  });
});
