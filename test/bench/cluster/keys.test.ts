import { expect, test } from 'vitest';
import { etcdCalls, quorateCalls } from '../../../bench/cluster/calls.js';
import { grpcFrame } from '../../../bench/cluster/grpc-frame.js';
import { keyOf, popularKeys, spreadKey, valueOf } from '../../../bench/cluster/keys.js';
import { scenariosOf } from '../../../bench/cluster/scenarios.js';
import { compareBytes, emptyBytes, equalBytes } from '../../../src/base/bytes.js';
import { splitKeys } from '../../../src/placement/bootstrap.js';
import { readAtomicBatch } from '../../../src/rpc/atomic-batch-codec.js';
import { WireReader } from '../../../src/rpc/wire-reader.js';

const requestId = { session: new Uint8Array(16), seq: 1 };

test('keys have 32 bytes, and each comes once in a round', () => {
  const keys = Array.from({ length: 10_000 }, (_, n) => spreadKey(n, 10_000));
  expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(10_000);
  expect(keys.every((key) => key.length === 32)).toBe(true);
});

test.each([2, 8, 16])('each of the first %i shards gets as many keys, within 5 %%', (shards) => {
  const keys = Array.from({ length: 10_000 }, (_, n) => keyOf(n));
  const bounds = [emptyBytes, ...splitKeys(shards)];
  const from = bounds.map((bound) => keys.filter((key) => compareBytes(bound, key) <= 0).length);
  for (const [i, count] of from.entries()) {
    expect(Math.abs((count - (from[i + 1] ?? 0)) / (keys.length / shards) - 1)).toBeLessThan(0.05);
  }
});

test('few of the popular keys take most of the draws', () => {
  const draw = popularKeys(10_000, 1);
  const drawn = Array.from({ length: 2000 }, draw);
  expect(drawn.filter((key) => equalBytes(key, keyOf(0))).length).toBeGreaterThan(100);
});

test('values have the length that was asked for, and differ', () => {
  expect(valueOf(256, 1_000_000)).toHaveLength(256);
  expect(valueOf(256, 1)).not.toEqual(valueOf(256, 2));
});

test('a batch has the same keys and values in the words of both systems', () => {
  const puts = [
    { key: keyOf(1), value: valueOf(300) },
    { key: keyOf(2), value: valueOf(10) },
  ];
  const ours = readAtomicBatch(new WireReader(quorateCalls.batch(puts).message), () => requestId, 10);
  expect(ours.operations).toMatchObject(
    puts.map(({ key, value }) => ({ type: 'put', key: new Uint8Array(key), value: new Uint8Array(value) })),
  );
  // Field 2 of TxnRequest, of 338 bytes: field 2 of RequestOp, of 335: key (1) and value (2) of PutRequest.
  const theirs = etcdCalls.batch(puts).message;
  expect([...theirs.subarray(0, 8)]).toEqual([0x12, 0xd4, 0x02, 0x12, 0xd1, 0x02, 0x0a, 32]);
});

test('a frame is the length behind a zero, and the message', () => {
  expect([...grpcFrame(Uint8Array.of(7, 8))]).toEqual([0, 0, 0, 0, 2, 7, 8]);
});

test('figures that stand side by side are of the same rate, or of as many in flight', () => {
  for (const quick of [true, false]) {
    const scenarios = scenariosOf({ keys: 100, valueBytes: 256 }, { quick });
    for (const { theirs, place } of scenarios) {
      if (typeof theirs === 'string' && place !== undefined) {
        expect(scenarios.find(({ name }) => name === theirs)?.place).toMatchObject({ plot: place.plot, at: place.at });
      }
    }
    expect(scenarios.filter(({ theirs }) => theirs === undefined).map(({ place }) => place?.at)).toEqual([32_000]);
  }
});

test("timers that watch a node's event loop are left out with one client in series, and only there", () => {
  for (const { name, isInSeries } of scenariosOf({ keys: 100, valueBytes: 256 }, { quick: false })) {
    expect(isInSeries === true).toBe(name.includes(', 1 in flight'));
  }
});

test('scenarios have names of their own, and those that borrow figures of the rival borrow from one that there is', () => {
  for (const quick of [true, false]) {
    const scenarios = scenariosOf({ keys: 100, valueBytes: 256 }, { quick });
    const names = scenarios.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { theirs } of scenarios) if (typeof theirs === 'string') expect(names).toContain(theirs);
  }
});
