import { expect, test } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';

const frames = (error: Error): number => (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)).length;

test('what is expected costs no stack; a bug has one, as has everything after', () => {
  expect(frames(new QuorateError('OVERLOADED', 'full'))).toBe(0);
  expect(frames(new QuorateError('INTERNAL', 'a bug'))).toBeGreaterThan(0);
  expect(frames(new Error('another'))).toBeGreaterThan(0);
});

test('what was thrown stays as it is, or is a bug', () => {
  const full = new QuorateError('OVERLOADED', 'full');
  expect(QuorateError.from(full)).toBe(full);
  const cause = new TypeError('x is not a function');
  expect(QuorateError.from(cause)).toMatchObject({
    code: 'INTERNAL',
    outcome: 'unknown',
    message: cause.message,
    cause,
  });
});
