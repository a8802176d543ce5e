/** Atomic batches on a leader: all of it or nothing, what the answer says, and the same answer to the same request. */
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Timestamp, timestampMax } from '../../src/base/ids.js';
import { entryBytes } from '../../src/mvcc/operation-bytes.js';
import type { Condition, VersionedValue } from '../../src/mvcc/operations.js';
import { batch, del, Leader, nextId, none, put } from './leader.js';

const absent: Condition = { type: 'absent' };
const is = (value: string): Condition => ({ type: 'valueEquals', value: utf8(value) });
const hasVersion = (version: number): Condition => ({ type: 'versionEquals', version: Timestamp(version) });

async function read(leader: Leader, key: string): Promise<VersionedValue | undefined> {
  await leader.applyAll();
  return (await leader.machine()).read(utf8(key), timestampMax);
}

describe('an atomic batch', () => {
  /** What is there before: `a` at version 1000. */
  const cases = [
    { name: 'puts', writes: [put('a', '1'), put('b', '2')], failures: undefined, after: { a: '1', b: '2' } },
    { name: 'puts and deletes', writes: [del('a'), put('b', '2')], failures: undefined, after: { b: '2' } },
    {
      name: 'a delete of nothing',
      writes: [del('b'), put('c', '3')],
      failures: undefined,
      after: { a: 'old', c: '3' },
    },
    {
      name: 'conditions of every kind that hold',
      writes: [put('a', '1', is('old')), put('b', '2', absent), ['c', absent] as const],
      failures: undefined,
      after: { a: '1', b: '2' },
    },
    {
      name: 'a check that holds',
      writes: [put('b', '2'), ['a', hasVersion(1000)] as const],
      failures: undefined,
      after: { a: 'old', b: '2' },
    },
    {
      name: 'a check alone',
      writes: [['a', is('old')] as const],
      failures: undefined,
      after: { a: 'old' },
    },
    {
      name: 'one condition of two that fails',
      writes: [put('b', '2', absent), put('a', '1', absent), put('c', '3')],
      failures: [{ index: 1, current: { version: 1000, value: utf8('old') } }],
      after: { a: 'old' },
    },
    {
      name: 'a check that fails',
      writes: [put('c', '3'), ['b', hasVersion(1000)] as const],
      failures: [{ index: 1, current: undefined }],
      after: { a: 'old' },
    },
    {
      name: 'all conditions failing',
      writes: [del('a', is('new')), put('b', '2'), put('c', '3', is('x'))],
      failures: [
        { index: 0, current: { version: 1000, value: utf8('old') } },
        { index: 2, current: undefined },
      ],
      after: { a: 'old' },
    },
  ];

  it.each(
    cases.flatMap((each) => (['applied', 'in flight', 'same entry'] as const).map((where) => ({ ...each, where }))),
  )('of $name takes effect as a whole or not at all ($where)', async ({ writes, failures, after, where }) => {
    const leader = new Leader();
    const operation = batch(writes);
    const before = put('a', 'old');
    if (where === 'same entry') await leader.propose(before, operation);
    else await leader.propose(before);
    if (where === 'applied') await leader.applyAll();
    // Where it was evaluated already: its answer again, which is the same.
    const [result] = await leader.propose(operation);
    const version = Timestamp(1001);
    expect(result).toEqual(
      failures === undefined ? { type: 'written', version } : { type: 'conditionsFailed', failures },
    );
    for (const key of ['a', 'b', 'c'] as const) {
      const value = (after as Partial<Record<string, string>>)[key];
      const changed = value !== 'old';
      const expected = value === undefined ? undefined : { version: changed ? version : 1000, value: utf8(value) };
      expect(await read(leader, key)).toEqual(expected);
    }
  });

  it('is seen as a whole by what comes after it, in flight and in the same entry', async () => {
    const leader = new Leader();
    const results = await leader.propose(
      batch([put('a', '1'), put('b', '1')]),
      batch([['a', is('1')], del('b', is('1'))]),
    );
    expect(results.map(({ type }) => type)).toEqual(['written', 'written']);
    const next = await leader.propose(batch([put('b', '2', absent), put('a', '2', hasVersion(1000))]));
    expect(next).toEqual([{ type: 'written', version: 1002 }]);
  });

  it('is one entry with one record, and within what is reserved for it', async () => {
    const leader = new Leader(1);
    // Old records, so that the entry forgets as many as it may.
    await leader.propose(...Array.from({ length: 40 }, () => put('k', 'v')));
    await leader.applyAll();
    leader.clock = 2 ** 52;
    await leader.execute(put('k', 'v'));
    const operation = batch(Array.from({ length: 128 }, (_, i) => put(`key ${i}`, 'v'.repeat(300))));
    await leader.propose(operation);
    expect(leader.proposed).toHaveLength(1);
    const entry = leader.proposed[0].batch ?? new Uint8Array();
    expect(entry.length).toBeLessThanOrEqual(entryBytes(operation));
    const refused = batch(Array.from({ length: 128 }, (_, i) => put(`key ${i}`, 'v', absent)));
    await leader.propose(refused);
    const record = leader.proposed[1].batch ?? new Uint8Array();
    expect(record.length).toBeGreaterThan(128 * 9);
    expect(record.length).toBeLessThanOrEqual(entryBytes(refused));
  });
});

describe('the request id of an atomic batch', () => {
  const wheres = ['same entry', 'in flight', 'applied', 'by another leader'] as const;

  async function answers(
    leader: Leader,
    where: (typeof wheres)[number],
    ...operations: Parameters<Leader['propose']>
  ): ReturnType<Leader['propose']> {
    if (where === 'same entry') return leader.propose(...operations);
    const results = [];
    for (const operation of operations) {
      results.push(...(await leader.propose(operation)));
      if (where !== 'in flight') await leader.applyAll();
      if (where === 'by another leader') leader.lose();
    }
    return results;
  }

  it.each(wheres)('gives a retry the first answer, without an effect (%s)', async (where) => {
    const leader = new Leader();
    const first = batch([put('a', '1', absent), del('b')]);
    const results = await answers(leader, where, first, put('a', '2'), put('b', '2'), first);
    expect(results.at(-1)).toEqual({ type: 'written', version: 1000 });
    expect(await read(leader, 'a')).toEqual({ version: 1001, value: utf8('2') });
    expect(await read(leader, 'b')).toEqual({ version: 1002, value: utf8('2') });
  });

  it.each(wheres)('gives a retry the refusal, with what was met then (%s)', async (where) => {
    const leader = new Leader();
    const refused = batch([put('a', '1', is('x')), ['b', is('y')], put('c', '1')]);
    const results = await answers(leader, where, put('a', 'old'), refused, put('a', 'x'), put('b', 'y'), refused);
    const failures = [
      { index: 0, current: { version: 1000, value: utf8('old') } },
      { index: 1, current: undefined },
    ];
    expect(results[1]).toEqual({ type: 'conditionsFailed', failures });
    expect(results.at(-1)).toEqual(results[1]);
    expect(await read(leader, 'c')).toBeUndefined();
  });

  it('refuses another batch, or a single write, under the same id', async () => {
    const leader = new Leader();
    const id = nextId();
    await leader.propose(batch([put('a', '1'), put('b', '2')], id));
    const others = [
      batch([put('a', '1'), put('b', '3')], id),
      batch([put('a', '1'), del('b')], id),
      batch([put('a', '1'), put('b', '2', absent)], id),
      batch([put('b', '2'), put('a', '1')], id),
      batch([put('a', '1')], id),
      put('a', '1', none, id),
    ];
    for (const result of await leader.propose(...others)) {
      expect(result).toMatchObject({ type: 'failed', error: { code: 'INVALID_ARGUMENT' } });
    }
  });

  it('refuses a retry when what a condition met is no longer kept', async () => {
    const leader = new Leader(600_000);
    await leader.execute(put('a', 'old'));
    const refused = batch([put('a', '1', absent), put('b', '1')]);
    await leader.execute(refused);
    await leader.execute(put('a', 'newer'));
    leader.clock = 100_000_000;
    // The engine learns of a safe point some entries later, when it is durable.
    for (let i = 0; i < 3; i++) {
      await leader.execute(put('m', 'v'));
      await leader.engine.flush();
    }
    leader.engine.dropReplaced();
    const error = { code: 'READ_TOO_OLD', outcome: 'notApplied' };
    expect(await leader.execute(refused)).toMatchObject({ type: 'failed', error });
    expect(await read(leader, 'b')).toBeUndefined();
  });
});

describe('the answer to a batch whose conditions failed', () => {
  it('tells values until they are too long together, the first however long it is, and again the same', async () => {
    const leader = new Leader();
    const lengths = [2_000_000, 10, 600_000, 600_000];
    const puts = lengths.map((length, i) => put(String(i), 'v'.repeat(length)));
    for (const each of puts) await leader.execute(each);
    const told = async (keys: readonly number[]): Promise<unknown> => {
      const operation = batch(keys.map((key) => put(String(key), '', absent)));
      const first = await leader.execute(operation);
      expect(await leader.execute(operation)).toEqual(first);
      if (first.type !== 'conditionsFailed') return first;
      return first.failures.map(({ current }) => current?.value?.length);
    };
    expect(await told([0, 1])).toEqual([2_000_000, undefined]);
    expect(await told([1, 2, 3])).toEqual([10, 600_000, undefined]);
  });
});
