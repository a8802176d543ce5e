import { beforeEach, describe, expect, test } from 'vitest';
import { PromptReads } from '../../src/platform/prompt-reads.js';

describe('PromptReads', () => {
  let nowMs: number;
  let ends: (() => void)[];
  let reads: PromptReads;
  beforeEach(() => {
    nowMs = 1000;
    ends = [];
    reads = new PromptReads({ nowMs: () => nowMs, endOfTurn: (callback) => ends.push(callback) });
  });

  const read = (tookMs: number): string | undefined =>
    reads.run(() => {
      nowMs += tookMs;
      return 'bytes';
    });
  const endTurn = (): void => ends.splice(0).forEach((end) => end());

  test('one that hangs for a second is the only one for ten', () => {
    expect(read(1000)).toBe('bytes');
    endTurn();
    nowMs += 9890;
    expect(read(0.01)).toBeUndefined();
    nowMs += 20;
    expect(read(0.01)).toBe('bytes');
    expect(read(0.01)).toBe('bytes');
  });

  test('a disk that is always slow stops the thread for a tenth of the time', () => {
    const startMs = nowMs;
    let stoppedMs = 0;
    while (nowMs < startMs + 10_000) {
      const beforeMs = nowMs;
      read(5);
      stoppedMs += nowMs - beforeMs;
      endTurn();
      nowMs += 0.5;
    }
    expect(stoppedMs).toBeGreaterThan(900);
    expect(stoppedMs).toBeLessThanOrEqual(1000 + 10 + 5);
  });

  test('few slow ones among many stop nothing: the thread itself may have had to wait', () => {
    for (let n = 0; n < 1000; n++) {
      expect(read(n % 100 === 0 ? 4 : 0.005)).toBe('bytes');
      endTurn();
      nowMs += 0.5;
    }
  });

  test('one that fails slowly counts as well', () => {
    const fail = (): never => {
      nowMs += 100;
      throw new Error('of the device');
    };
    expect(() => reads.run(fail)).toThrow('of the device');
    endTurn();
    expect(read(0.01)).toBeUndefined();
  });

  test('those of one turn end after 2 ms, and go on in the next one', () => {
    let made = 0;
    while (read(1 / 32) !== undefined) made++;
    expect(made).toBe(64);
    expect(ends).toHaveLength(1);
    endTurn();
    expect(read(1 / 32)).toBe('bytes');
  });
});
