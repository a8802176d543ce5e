/** What replicas hold, right and wrong, against what the entries add up to that they have applied. */
import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, ShardId, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import type { EngineIterator } from '../../src/mvcc/engine.js';
import { userKey } from '../../src/mvcc/keyspace.js';
import { StateMachine } from '../../src/mvcc/state-machine.js';
import type { Effect } from '../../src/mvcc/write-batch-format.js';
import { encodeWriteBatch } from '../../src/mvcc/write-batch-writer.js';
import { StateChecks } from '../../src/sim/state-checks.js';
import { NaiveEngine } from '../mvcc/naive-engine.js';

const shard = ShardId(3);
const retention = 1000;

let checks: StateChecks;
let engine: NaiveEngine;
let machine: StateMachine;

beforeEach(async () => {
  checks = new StateChecks({ random: new Prng(1), retentionOf: () => retention });
  engine = new NaiveEngine(new Prng(1));
  machine = await StateMachine.create(engine, utf8('descriptor'), { retention });
});

function put(key: string, version: number, value = `${key}${version}`): Effect {
  return { type: 'put', key: userKey(utf8(key)), version: Timestamp(version), value: utf8(value) };
}

function del(key: string, version: number): Effect {
  return { type: 'delete', key: userKey(utf8(key)), version: Timestamp(version) };
}

/** The first replica applies the entry at `index`, which does this. */
function applied(index: number, ...effects: Effect[]): void {
  checks.applied(shard, { index: LogIndex(index) }, { type: 'write', batch: encodeWriteBatch(effects) });
}

/** This replica's state changes so with the next entry. */
function holds(...effects: Effect[]): void {
  machine.apply(LogIndex(machine.appliedIndex + 1), encodeWriteBatch(effects));
}

function readNewest(): Promise<boolean> {
  return checks.readNewest(shard, machine, 'node-1');
}

/** Often enough that every timestamp is drawn. */
async function readOlder(): Promise<boolean> {
  const reads: boolean[] = [];
  for (let i = 0; i < 50; i++) reads.push(await checks.readOlder(shard, machine, 'node-1'));
  expect(new Set(reads).size).toBe(1);
  return reads[0];
}

describe('right', () => {
  test.each([
    ['a new shard', []],
    ['a value and another', [[put('a', 5)], [put('b', 6)]]],
    ['a value in place of another', [[put('a', 5)], [put('a', 6)]]],
    ['nothing in place of a value', [[put('a', 5), put('b', 5)], [del('a', 6)]]],
    ['a deletion of nothing', [[del('a', 5)]]],
    ['versions of one key in one entry, in any order', [[put('a', 6), put('a', 5)]]],
    ['a value after a deletion', [[put('a', 5)], [del('a', 6)], [put('a', 7)]]],
    [
      'several versions in one entry',
      [
        [put('a', 5), put('b', 6), del('a', 6)],
        [put('b', 9), put('b', 7)],
      ],
    ],
  ])('%s', async (_, entries) => {
    entries.forEach((effects, i) => {
      applied(2 + i, ...effects);
      holds(...effects);
    });
    expect(await readNewest()).toBe(true);
    expect(await readOlder()).toBe(entries.length > 0);
    expect(checks.violations).toEqual([]);
  });

  test('by whoever is behind, at its own index', async () => {
    applied(2, put('a', 5));
    applied(3, put('a', 6));
    holds(put('a', 5));
    expect(await readNewest()).toBe(true);
    expect(await readOlder()).toBe(true);
    expect(checks.violations).toEqual([]);
  });

  test('with entries that write nothing between', async () => {
    applied(2, put('a', 5));
    checks.applied(shard, { index: LogIndex(3) }, { type: 'nothing' });
    holds(put('a', 5));
    holds();
    expect(await readNewest()).toBe(true);
    expect(checks.violations).toEqual([]);
  });

  test('who applies an entry again adds nothing to it', async () => {
    applied(2, put('a', 5));
    applied(2, put('a', 5));
    holds(put('a', 5));
    await readNewest();
    expect(checks.violations).toEqual([]);
  });
});

describe('versions that were replaced', () => {
  /** With the last of these the safe point comes to 1000. */
  const entries = [[put('a', 900), put('b', 900)], [put('a', 1000)], [del('a', 1500)], [put('c', 2000)]];

  /** They are applied, and then what nobody sees at `safePoint` or above is dropped. */
  function droppedBelow(safePoint: number): void {
    entries.forEach((effects, i) => {
      applied(2 + i, ...effects);
      holds(...effects);
    });
    engine.setSafePoint(Timestamp(safePoint));
    engine.dropReplaced();
  }

  test.each([0, 999, 1000])('may be gone where nobody sees them at %d', async (safePoint) => {
    droppedBelow(safePoint);
    expect(machine.safePoint).toBe(1000);
    expect(await readOlder()).toBe(true);
    expect(checks.violations).toEqual([]);
  });

  test.each([1500, 2000])('may not be gone where readers still see them below %d', async (safePoint) => {
    droppedBelow(safePoint);
    expect(await readNewest()).toBe(true);
    expect(checks.violations).toEqual([]);
    expect(await readOlder()).toBe(true);
    expect(checks.violations[0]).toMatch(
      /^node-1 holds of shard 3 at 5, as of version 1499: 1 records, .*; its entries add up to: 2 records/,
    );
  });

  test('may not be gone because the replica has a safe point that is too high', async () => {
    machine = await StateMachine.create((engine = new NaiveEngine()), utf8('descriptor'), { retention: 500 });
    droppedBelow(1500);
    expect(machine.safePoint).toBe(1500);
    expect(await readOlder()).toBe(true);
    expect(checks.violations[0]).toMatch(/as of version 1499/);
  });

  test('may not be back where a deletion is gone', async () => {
    applied(2, put('a', 1000));
    applied(3, del('a', 1500));
    applied(4, put('a', 2000));
    holds(put('a', 1000));
    holds(del('b', 1500));
    holds(put('a', 2000));
    expect(await readNewest()).toBe(true);
    expect(checks.violations).toEqual([]);
    expect(await readOlder()).toBe(true);
    expect(checks.violations[0]).toMatch(/as of version 1999: 1 records, .*; its entries add up to: 0 records/);
  });
});

describe('wrong', () => {
  test.each([
    ['a record is missing', [put('a', 5)]],
    ['another value', [put('a', 5), put('b', 5, 'other')]],
    ['another version', [put('a', 5), put('b', 4)]],
    ['another key', [put('a', 5), put('c', 5, 'b5')]],
    ['one too many', [put('a', 5), put('b', 5), put('c', 5)]],
    ['values exchanged', [put('a', 5, 'b5'), put('b', 5, 'a5')]],
  ])('%s', async (_, effects) => {
    applied(2, put('a', 5), put('b', 5));
    holds(...effects);
    expect(await readNewest()).toBe(true);
    expect(checks.violations).toHaveLength(1);
    expect(checks.violations[0]).toMatch(
      /^node-1 holds of shard 3 at 2: \d records, .*; its entries add up to: 2 records/,
    );
  });

  test('a deleted record is back', async () => {
    applied(2, put('a', 5), put('b', 5));
    applied(3, del('a', 6));
    holds(put('a', 5), put('b', 5));
    holds(put('c', 6));
    await readNewest();
    expect(checks.violations).toHaveLength(1);
  });

  test('more than anybody has applied', async () => {
    applied(2, put('a', 5));
    holds(put('a', 5));
    holds();
    await readNewest();
    expect(checks.violations).toEqual([expect.stringContaining('its entries add up to: undefined')]);
  });

  test('an entry is applied before the one before it was by anybody', () => {
    applied(2, put('a', 5));
    applied(4, put('a', 7));
    expect(checks.violations).toEqual(['shard 3: 4 is applied, and nobody had applied 3']);
  });

  test('an entry writes a version that is not above those before', () => {
    applied(2, put('a', 5));
    applied(3, put('c', 6), put('b', 5));
    expect(checks.violations).toEqual(['shard 3: 3 writes 5 after 5']);
  });
});

describe('what cannot be read', () => {
  test('holds nothing yet', async () => {
    machine = StateMachine.unfilled(new NaiveEngine(), { retention });
    expect(await readNewest()).toBe(false);
    expect(await readOlder()).toBe(false);
    expect(checks.violations).toEqual([]);
  });

  test('fails', async () => {
    applied(2, put('a', 5));
    holds(put('a', 5));
    engine.openIterator = (): EngineIterator => ({
      next: () => Promise.reject(new Error('io')),
      close: () => undefined,
    });
    expect(await readNewest()).toBe(false);
    expect(await readOlder()).toBe(false);
    expect(checks.violations).toEqual([]);
  });
});
