import { expect, test } from 'vitest';

import { prettyLine } from '../../../src/node/config/logger.js';

test('a message for people', () => {
  const line = {
    level: 'warn',
    time: '2026-11-20T12:34:56.789Z',
    pid: 1,
    hostname: 'h',
    node: 2,
    peer: 'b',
    msg: 'no connection',
  };
  expect(prettyLine(JSON.stringify(line))).toBe('12:34:56.789 WARN  no connection  node=2  peer="b"\n');
});

test('an error comes with its stack', () => {
  const line = {
    level: 'error',
    time: '2026-11-20T12:34:56.789Z',
    error: { stack: 'Error: x\n    at y' },
    msg: 'failed',
  };
  expect(prettyLine(JSON.stringify(line))).toBe('12:34:56.789 ERROR failed\n    Error: x\n        at y\n');
});
