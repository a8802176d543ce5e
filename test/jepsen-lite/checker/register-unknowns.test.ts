/** What is left of writes with unknown outcome, when the answers of others have told what they can. */
import { describe, expect, test } from 'vitest';
import {
  checkHistory,
  registerModel,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  type RegisterValue,
} from '../../../jepsen-lite/checker/check.js';
import { settleUnknownWrites } from '../../../jepsen-lite/checker/models/register-unknowns.js';

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

let client = 0;
const unknown = (call: number, input: RegisterInput): RegisterOperation => {
  return { client: ++client, call, return: undefined, input, output: undefined };
};
const known = (call: number, end: number, input: RegisterInput, output: RegisterOutput): RegisterOperation => {
  return { client: ++client, call, return: end, input, output };
};
const read = (call: number, end: number, value: RegisterValue): RegisterOperation =>
  known(call, end, { type: 'read' }, { type: 'value', value });
const write = (value: string): RegisterInput => ({ type: 'write', value });
const cas = (expected: RegisterValue, value: RegisterValue): RegisterInput => ({ type: 'cas', expected, value });

const verdict = (history: readonly RegisterOperation[]): string =>
  checkHistory({ model: registerModel, history, now: () => 0 }).verdict;

describe('a value that was seen', () => {
  test('was written before the first answer that shows it, and so was what was expected', () => {
    const a = unknown(0, write('a'));
    const b = unknown(1, cas('a', 'b'));
    const c = unknown(2, cas('b', 'c'));
    const reads = [read(3, 20, 'c'), read(4, 10, 'c'), read(5, 30, 'b')];
    const done = { output: { type: 'done' }, return: 10 } as const;
    const settled = [{ ...a, ...done }, { ...b, ...done }, { ...c, ...done }, ...reads];
    expect(settleUnknownWrites([a, b, c, ...reads])).toEqual(settled);
  });

  test('may have been written by either of two', () => {
    const history = [unknown(0, write('a')), unknown(1, write('a')), read(2, 3, 'a')];
    expect(settleUnknownWrites(history)).toEqual(history);
  });

  test('cannot have been written later', () => {
    const history = [read(0, 1, 'a'), unknown(2, write('a'))];
    expect(settleUnknownWrites(history)).toEqual(history);
    expect(verdict(history)).toBe('notLinearizable');
  });

  test('may have been expected by one that was written from it', () => {
    const history = [unknown(0, cas('a', 'b')), unknown(1, cas('b', 'a')), read(2, 3, 'a')];
    expect(verdict(history)).toBe('notLinearizable');
  });
});

describe('a value that was not seen', () => {
  const first = known(0, 1, write('a'), { type: 'done' });

  test('need not have been written', () => {
    const history = [first, unknown(2, write('b')), unknown(2, cas('b', 'c')), unknown(2, cas('a', 'd'))];
    expect(settleUnknownWrites([...history, read(3, 4, 'a')])).toEqual([first, read(3, 4, 'a')].map(sameBut));
  });

  test('may be needed to explain what deleted it', () => {
    const history = [
      first,
      unknown(2, write('b')),
      unknown(2, cas('b', 'c')),
      unknown(2, cas('c', null)),
      read(3, 4, null),
    ];
    expect(settleUnknownWrites(history)).toEqual(history);
    expect(verdict(history)).toBe('linearizable');
    for (const missing of [1, 2, 3]) expect(verdict(history.toSpliced(missing, 1))).toBe('notLinearizable');
  });

  test('may be needed to explain a refusal that does not tell what was there', () => {
    const refused = known(3, 4, cas('a', 'x'), { type: 'refused' });
    const history = [first, unknown(2, write('b')), refused];
    expect(settleUnknownWrites(history)).toEqual(history);
    expect(verdict(history)).toBe('linearizable');
    const told = { ...refused, output: { type: 'refused', current: 'b' } } as const;
    expect(verdict([first, unknown(2, write('b')), told])).toBe('linearizable');
    expect(verdict([first, refused])).toBe('notLinearizable');
  });
});

/** Clients are numbered as they come. */
function sameBut(operation: RegisterOperation): unknown {
  return { ...operation, client: expect.any(Number) as unknown };
}
