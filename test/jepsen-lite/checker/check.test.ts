import { describe, expect, test } from 'vitest';
import {
  checkHistory,
  counterModel,
  HistoryError,
  registerModel,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
} from '../../../jepsen-lite/checker/check.js';
import { Prng } from '../../../src/base/prng.js';

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

const read = (client: number, call: number, end: number, value: string | null): RegisterOperation => {
  return { client, call, return: end, input: { type: 'read' }, output: { type: 'value', value } };
};
const write = (client: number, call: number, end: number | undefined, value: string): RegisterOperation => {
  return {
    client,
    call,
    return: end,
    input: { type: 'write', value },
    output: end === undefined ? end : { type: 'done' },
  };
};
const refused = (client: number, call: number, end: number, expected: string): RegisterOperation => {
  return { client, call, return: end, input: { type: 'cas', expected, value: 'x' }, output: { type: 'refused' } };
};
const check = (history: readonly RegisterOperation[], caps = {}): ReturnType<typeof checkRegister> =>
  checkRegister(history, caps);
const checkRegister = (history: readonly RegisterOperation[], caps: { memoEntriesMax?: number; timeMsMax?: number }) =>
  checkHistory({ model: registerModel, history, now: () => 0, ...caps });

describe('verdicts', () => {
  test.each<[name: string, history: RegisterOperation[], verdict: string]>([
    ['nothing happened', [], 'linearizable'],
    ['a read sees the write before it', [write(1, 0, 1, 'a'), read(2, 2, 3, 'a')], 'linearizable'],
    ['a read misses the write before it', [write(1, 0, 1, 'a'), read(2, 2, 3, null)], 'notLinearizable'],
    ['a read sees a write that it overlaps', [write(1, 0, 3, 'a'), read(2, 1, 2, 'a')], 'linearizable'],
    ['a read misses a write that it overlaps', [write(1, 0, 3, 'a'), read(2, 1, 2, null)], 'linearizable'],
    ['operations that touch in time overlap', [write(1, 0, 1, 'a'), read(2, 1, 2, null)], 'linearizable'],
    ['time does not go back', [write(1, 0, 9, 'a'), read(2, 1, 2, 'a'), read(3, 3, 4, null)], 'notLinearizable'],
    ['a value from nowhere', [read(1, 0, 1, 'a')], 'notLinearizable'],
    ['a lost answer, and the write took effect', [write(1, 0, undefined, 'a'), read(2, 1, 2, 'a')], 'linearizable'],
    ['a lost answer, and the write did not', [write(1, 0, undefined, 'a'), read(2, 1, 2, null)], 'linearizable'],
    [
      'a lost answer, and the write took effect late',
      [write(1, 0, undefined, 'a'), read(2, 1, 2, null), write(2, 3, 4, 'b'), read(2, 5, 6, 'a')],
      'linearizable',
    ],
    [
      'a lost answer, and the write took effect twice',
      [write(1, 0, undefined, 'a'), read(2, 1, 2, 'a'), write(2, 3, 4, 'b'), read(2, 5, 6, 'a')],
      'notLinearizable',
    ],
    [
      'another lost write would explain more, but was called too late',
      [
        write(1, 0, 1, 'a'),
        write(2, 2, undefined, 'b'),
        refused(3, 3, 4, 'a'),
        write(4, 5, undefined, 'c'),
        read(3, 6, 7, 'c'),
        read(3, 8, 9, 'b'),
      ],
      'notLinearizable',
    ],
    ['a write takes effect before its call', [read(2, 0, 1, 'a'), write(1, 2, undefined, 'a')], 'notLinearizable'],
  ])('%s', (_, history, verdict) => {
    expect(check(history).verdict).toBe(verdict);
    // The order of the array says nothing: time does.
    expect(check(new Prng(1).shuffle([...history])).verdict).toBe(verdict);
  });

  test('a read whose answer was lost is left out', () => {
    const lost: RegisterOperation = {
      client: 1,
      call: 0,
      return: undefined,
      input: { type: 'read' },
      output: undefined,
    };
    expect(check([lost, read(1, 2, 3, null)]).partitions).toEqual([
      { key: undefined, operationCount: 1, verdict: 'linearizable' },
    ]);
  });
});

describe('keys', () => {
  const bad = [write(1, 0, 1, 'a'), read(2, 2, 3, null), read(2, 4, 5, 'a')].map((one) => ({ ...one, key: 'bad' }));
  const worse = [write(1, 0, 1, 'a'), read(2, 2, 3, null)].map((one) => ({ ...one, key: 'worse' }));
  const good = [write(1, 0, 1, 'a')].map((one) => ({ ...one, key: 'good' }));

  test('are checked one by one, the smallest first', () => {
    const { verdict, partitions } = check([...bad, ...worse, ...good]);
    expect(verdict).toBe('notLinearizable');
    expect(partitions).toEqual([
      { key: 'good', operationCount: 1, verdict: 'linearizable' },
      { key: 'worse', operationCount: 2, verdict: 'notLinearizable' },
      { key: 'bad', operationCount: 3, verdict: 'notLinearizable' },
    ]);
  });

  test('the failure is the smallest part, cut after the operation that fits nowhere', () => {
    expect(check([...bad, ...good]).failure).toEqual({
      key: 'bad',
      operations: bad.slice(0, 2),
      stuck: 1,
      attempts: [[{ operation: 0, state: 'a' }]],
    });
  });
});

describe('caps', () => {
  /** Additions that all overlap, and a sum that none of their subsets has: all subsets must be tried. */
  const hard: Operation<{ type: 'add'; delta: number } | { type: 'read' }, { type: 'value'; value: number }>[] = [];
  for (let client = 0; client < 16; client++) {
    const input = { type: 'add', delta: 2 ** client } as const;
    hard.push({ client, call: client, return: undefined, input, output: undefined });
  }
  hard.push({ client: 99, call: 50, return: 60, input: { type: 'read' }, output: { type: 'value', value: -1 } });
  const easy = { client: 1, key: 'easy', call: 0, return: 1, input: { type: 'read' } as const };

  test('registers of distinct values: writes of unknown outcome cost little', () => {
    const unknown = { return: undefined, output: undefined };
    const history = (rounds: number): RegisterOperation[] =>
      Array.from({ length: rounds }).flatMap((_, i) => [
        write(1, i, undefined, `w${i}`),
        { client: 2, call: i, ...unknown, input: { type: 'delete' } },
        { client: 3, call: i, ...unknown, input: { type: 'cas', expected: `w${i}`, value: `c${i}` } },
        { client: 4, call: i, ...unknown, input: { type: 'cas', expected: null, value: `n${i}` } },
        read(5, i, i + 3.5, [null, `c${i}`, `n${i}`][i % 3]),
      ]);
    expect(check(history(200), { memoEntriesMax: 5000 }).verdict).toBe('linearizable');
    const stale = read(6, 300, 301, 'c4');
    expect(check([...history(20), stale], { memoEntriesMax: 20_000 }).verdict).toBe('notLinearizable');
  });

  test('without any, it is decided', () => {
    expect(checkHistory({ model: counterModel, history: hard, now: () => 0 }).verdict).toBe('notLinearizable');
  });

  test('memory: unknown, with the reason; other keys keep their verdicts', () => {
    const history = [...hard, { ...easy, output: { type: 'value', value: 0 } as const }];
    const result = checkHistory({ model: counterModel, history, memoEntriesMax: 1000, now: () => 0 });
    expect(result).toEqual({
      verdict: 'unknown',
      partitions: [
        { key: 'easy', operationCount: 1, verdict: 'linearizable' },
        { key: undefined, operationCount: 17, verdict: 'unknown', reason: 'memory' },
      ],
    });
  });

  test('memory: unknown somewhere does not hide a failure elsewhere', () => {
    const history = [...hard, { ...easy, output: { type: 'value', value: 7 } as const }];
    const result = checkHistory({ model: counterModel, history, memoEntriesMax: 1000, now: () => 0 });
    expect(result.verdict).toBe('notLinearizable');
    expect(result.failure?.key).toBe('easy');
  });

  test('time: unknown, with the reason', () => {
    let clock = 0;
    const result = checkHistory({ model: counterModel, history: hard, timeMsMax: 10, now: () => clock++ });
    expect(result.verdict).toBe('unknown');
    expect(result.partitions[0].reason).toBe('time');
    expect(clock).toBeLessThan(20);
  });
});

describe('histories that nobody can have recorded', () => {
  test.each<[name: string, operation: RegisterOperation, message: string]>([
    ['a return before the call', write(1, 5, 4, 'a'), 'operation 0: returned at 4, before its call at 5'],
    ['no time', write(1, NaN, 4, 'a'), 'operation 0: call time NaN'],
    ['no end of time', write(1, 0, Infinity, 'a'), 'operation 0: return time Infinity'],
    [
      'an answer that never came',
      { ...write(1, 0, undefined, 'a'), output: { type: 'done' } },
      'operation 0: has an output but no return',
    ],
  ])('%s', (_, operation, message) => {
    expect(() => check([operation])).toThrow(HistoryError);
    expect(() => check([operation])).toThrow(message);
  });
});
