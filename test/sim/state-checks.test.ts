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

let checks: StateChecks;
let engine: NaiveEngine;
let machine: StateMachine;

beforeEach(async () => {
  checks = new StateChecks();
  engine = new NaiveEngine(new Prng(1));
  machine = await StateMachine.create(engine, utf8('descriptor'), { versionRetentionMs: 1000 });
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

function read(): Promise<boolean> {
  return checks.read(shard, machine, 'node-1');
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
  ])('%s', async (_, entries) => {
    entries.forEach((effects, i) => {
      applied(2 + i, ...effects);
      holds(...effects);
    });
    expect(await read()).toBe(true);
    expect(checks.violations).toEqual([]);
  });

  test('by whoever is behind, at its own index', async () => {
    applied(2, put('a', 5));
    applied(3, put('a', 6));
    holds(put('a', 5));
    expect(await read()).toBe(true);
    expect(checks.violations).toEqual([]);
  });

  test('with entries that write nothing between', async () => {
    applied(2, put('a', 5));
    checks.applied(shard, { index: LogIndex(3) }, { type: 'nothing' });
    holds(put('a', 5));
    holds();
    expect(await read()).toBe(true);
    expect(checks.violations).toEqual([]);
  });

  test('who applies an entry again adds nothing to it', async () => {
    applied(2, put('a', 5));
    applied(2, put('a', 5));
    holds(put('a', 5));
    await read();
    expect(checks.violations).toEqual([]);
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
    expect(await read()).toBe(true);
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
    await read();
    expect(checks.violations).toHaveLength(1);
  });

  test('more than anybody has applied', async () => {
    applied(2, put('a', 5));
    holds(put('a', 5));
    holds();
    await read();
    expect(checks.violations).toEqual([expect.stringContaining('its entries add up to: undefined')]);
  });

  test('an entry is applied before the one before it was by anybody', () => {
    applied(2, put('a', 5));
    applied(4, put('a', 7));
    expect(checks.violations).toEqual(['shard 3: 4 is applied, and nobody had applied 3']);
  });
});

describe('what cannot be read', () => {
  test('holds nothing yet', async () => {
    machine = StateMachine.unfilled(new NaiveEngine(), { versionRetentionMs: 1000 });
    expect(await read()).toBe(false);
    expect(checks.violations).toEqual([]);
  });

  test('fails', async () => {
    engine.openIterator = (): EngineIterator => ({
      next: () => Promise.reject(new Error('io')),
      close: () => undefined,
    });
    expect(await read()).toBe(false);
    expect(checks.violations).toEqual([]);
  });
});
