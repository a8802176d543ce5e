import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import type { Operation, OperationResult } from '../../src/mvcc/operations.js';
import { FittingResults } from '../../src/node/fitting-results.js';

const requestId = { session: new Uint8Array(16), seq: 1 };
const get: Operation = { type: 'get', key: utf8('k'), consistency: 'linearizable' };
const put: Operation = { type: 'put', key: utf8('k'), value: utf8('v'), condition: { type: 'none' }, requestId };
const versioned = { version: Timestamp(1), value: new Uint8Array(1000) };
const found: OperationResult = { type: 'found', ...versioned };
const conditionFailed: OperationResult = { type: 'conditionFailed', current: versioned };
const operations = [get, put, get, get];

test('results come back in the order of their operations, when all are there', () => {
  const fitting = new FittingResults(operations, 1_000_000);
  expect(fitting.add(2, found)).toBeUndefined();
  expect(fitting.add(0, { type: 'absent' })).toBeUndefined();
  expect(fitting.add(3, found)).toBeUndefined();
  expect(fitting.add(1, conditionFailed)).toEqual([{ type: 'absent' }, conditionFailed, found, found]);
});

test('those that come when a frame is full are left to be asked for again', () => {
  const fitting = new FittingResults(operations, 1700);
  fitting.add(2, found);
  fitting.add(1, conditionFailed);
  fitting.add(0, found);
  expect(fitting.add(3, { type: 'absent' })).toMatchObject([
    { type: 'failed', error: { code: 'OVERLOADED', outcome: 'notApplied', retryable: true } },
    // It was carried out; the next try with its request id learns how.
    { type: 'failed', error: { code: 'OVERLOADED', outcome: 'unknown', retryable: true } },
    found,
    { type: 'absent' },
  ]);
});
