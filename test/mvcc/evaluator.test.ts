/** One file for all rules of evaluation, so that each table stands beside the rule that it would contradict. */
import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { Timestamp, timestampMax } from '../../src/base/ids.js';
import { Evaluator } from '../../src/mvcc/evaluator.js';
import { keyPrefix, requestsPerBucket } from '../../src/mvcc/keyspace.js';
import { operationOverheadBytesMax } from '../../src/mvcc/operation-bytes.js';
import type { Condition, OperationResult, RequestId, WriteOperation } from '../../src/mvcc/operations.js';
import { initialIndex } from '../../src/mvcc/state-machine.js';
import { decodeWriteBatch } from '../../src/mvcc/write-batch-reader.js';
import { batch, del, Leader, nextId, none, put } from './leader.js';

/** The first request of a bucket of its own. */
function inBucket(number: number): RequestId {
  return { session: new Uint8Array(16).fill(9), seq: number * requestsPerBucket };
}

function forgottenBy(leader: Leader): number {
  let count = 0;
  const onDelete = (key: Uint8Array): void => {
    if (key[0] === keyPrefix.requestBucket) count++;
  };
  const newest = leader.proposed.at(-1)?.batch;
  if (newest !== undefined) decodeWriteBatch(newest, { put: () => undefined, delete: onDelete });
  return count;
}

async function bucketsStored(leader: Leader): Promise<number> {
  const bounds = { lower: Uint8Array.of(keyPrefix.requestBucket), upper: Uint8Array.of(keyPrefix.requestTime) };
  const iterator = leader.engine.openIterator({ ...bounds, at: timestampMax, reverse: false });
  let count = 0;
  while ((await iterator.next()) !== undefined) count++;
  return count;
}

describe('conditions on every state', () => {
  const version = Timestamp(1000);
  const conditions: Record<string, Condition> = {
    none,
    absent: { type: 'absent' },
    'version equals': { type: 'versionEquals', version },
    'version differs': { type: 'versionEquals', version: Timestamp(999) },
    'value equals': { type: 'valueEquals', value: utf8('old') },
    'value differs': { type: 'valueEquals', value: utf8('other') },
  };
  const states = ['never written', 'present', 'deleted'] as const;
  const holds: Record<(typeof states)[number], readonly string[]> = {
    'never written': ['none', 'absent'],
    present: ['none', 'version equals', 'value equals'],
    deleted: ['none', 'absent'],
  };
  const cases = states.flatMap((state) =>
    Object.keys(conditions).flatMap((name) =>
      (['put', 'delete'] as const).flatMap((type) =>
        (['in flight', 'applied', 'same batch'] as const).map((where) => ({ state, name, type, where })),
      ),
    ),
  );

  it.each(cases)('$type, $name, on $state ($where)', async ({ state, name, type, where }) => {
    const leader = new Leader();
    const before = state === 'never written' ? [] : [put('k', 'old'), ...(state === 'deleted' ? [del('k')] : [])];
    const condition = conditions[name];
    const operation = type === 'put' ? put('k', 'new', condition) : del('k', condition);
    let results: readonly OperationResult[];
    if (where === 'same batch') {
      results = await leader.propose(...before, operation);
    } else {
      if (before.length > 0) await leader.propose(...before);
      if (where === 'applied') await leader.applyAll();
      results = await leader.propose(operation);
    }
    const result = results.at(-1);
    const written = Timestamp(1000 + before.length);
    if (!holds[state].includes(name)) {
      const current = state === 'present' ? { version, value: utf8('old') } : undefined;
      expect(result).toEqual({ type: 'conditionFailed', current });
    } else if (type === 'delete' && state !== 'present') {
      expect(result).toEqual({ type: 'nothingDeleted' });
    } else {
      expect(result).toEqual({ type: 'written', version: written });
    }
    await leader.applyAll();
    const read = await (await leader.machine()).read(utf8('k'), Timestamp(5000));
    const changed = result?.type === 'written';
    if (changed) expect(read).toEqual(type === 'put' ? { version: written, value: utf8('new') } : undefined);
    else expect(read).toEqual(state === 'present' ? { version, value: utf8('old') } : undefined);
  });
});

describe('request ids', () => {
  const wheres = ['same batch', 'in flight', 'applied'] as const;

  /** Results of the last operation, after those before it reached the state `where`. */
  async function resultAfter(
    leader: Leader,
    where: (typeof wheres)[number],
    before: WriteOperation[],
    last: WriteOperation,
  ): Promise<OperationResult | undefined> {
    if (where === 'same batch') return (await leader.propose(...before, last)).at(-1);
    await leader.propose(...before);
    if (where === 'applied') await leader.applyAll();
    return (await leader.propose(last)).at(-1);
  }

  it.each(wheres)('answers a retry with the first result, without an effect (%s)', async (where) => {
    const leader = new Leader();
    const first = put('k', 'mine', { type: 'absent' });
    const others = [put('k', 'theirs'), del('k'), put('k', 'again')];
    const retried = await resultAfter(leader, where, [first, ...others], first);
    expect(retried).toEqual({ type: 'written', version: 1000 });
    await leader.applyAll();
    const read = await (await leader.machine()).read(utf8('k'), timestampMax);
    expect(read).toEqual({ version: 1003, value: utf8('again') });
  });

  it.each(wheres)('answers a retried delete with its version (%s)', async (where) => {
    const first = del('k');
    const retried = await resultAfter(new Leader(), where, [put('k', 'v'), first], first);
    expect(retried).toEqual({ type: 'written', version: 1001 });
  });

  const ifNew: Condition = { type: 'valueEquals', value: utf8('new') };

  it.each(wheres)('answer a late duplicate of a refused write with what it met then: nothing (%s)', async (where) => {
    const leader = new Leader();
    const refused = put('k', 'late', ifNew);
    const retried = await resultAfter(leader, where, [refused, put('k', 'new')], refused);
    expect(retried).toEqual({ type: 'conditionFailed', current: undefined });
    await leader.applyAll();
    expect(await (await leader.machine()).read(utf8('k'), timestampMax)).toMatchObject({ value: utf8('new') });
  });

  it.each(wheres)('answer a late duplicate of a refused write with what it met then: a value (%s)', async (where) => {
    const leader = new Leader();
    const refused = [put('k', 'late', ifNew), del('k', ifNew)];
    const before = [put('k', 'old'), ...refused, put('k', 'new'), del('k'), put('k', 'new')];
    const met = { type: 'conditionFailed', current: { version: 1000, value: utf8('old') } };
    expect(await resultAfter(leader, where, before, refused[0])).toEqual(met);
    expect(await leader.propose(...refused, ...refused)).toEqual([met, met, met, met]);
    await leader.applyAll();
    expect(await (await leader.machine()).read(utf8('k'), timestampMax)).toEqual({ version: 1005, value: utf8('new') });
  });

  it('answer so also when what the condition met is applied, and the refusal in flight', async () => {
    const leader = new Leader();
    await leader.execute(put('k', 'old'));
    const refused = put('k', 'late', ifNew);
    expect(await resultAfter(leader, 'in flight', [refused, put('k', 'new')], refused)).toMatchObject({
      current: { version: 1000, value: utf8('old') },
    });
  });

  it.each(wheres)('answer a late duplicate of a delete that found nothing (%s)', async (where) => {
    const leader = new Leader();
    const first = del('k');
    expect(await resultAfter(leader, where, [first, put('k', 'v')], first)).toEqual({ type: 'nothingDeleted' });
    await leader.applyAll();
    expect(await (await leader.machine()).read(utf8('k'), timestampMax)).toMatchObject({ value: utf8('v') });
  });

  it('refuse a late duplicate also when what its condition met is no longer kept', async () => {
    const leader = new Leader(600_000);
    const [metValue, metNothing] = [put('k', 'late', ifNew), put('l', 'late', ifNew)];
    await leader.propose(put('k', 'old'), metValue, metNothing, put('k', 'new'), put('l', 'new'));
    await leader.applyAll();
    leader.clock = 100_000_000;
    // The engine learns of a safe point some entries later, when it is durable.
    for (let i = 0; i < 3; i++) {
      await leader.execute(put('m', 'v'));
      await leader.engine.flush();
    }
    leader.engine.dropReplaced();
    const [result] = await leader.propose(metValue);
    expect(result).toMatchObject({ type: 'failed', error: { code: 'READ_TOO_OLD', outcome: 'notApplied' } });
    expect(result.type === 'failed' && result.error.message).toMatch(/refused before.* 1000, is no longer kept/);
    expect(leader.proposed.length).toBe(0);
    expect(await leader.execute(metNothing)).toEqual({ type: 'conditionFailed', current: undefined });
    expect(await (await leader.machine()).read(utf8('k'), timestampMax)).toMatchObject({ value: utf8('new') });
  });

  it.each(wheres)('refuse another write where the first had no effect (%s)', async (where) => {
    const leader = new Leader();
    const reuse = { type: 'failed', error: { code: 'INVALID_ARGUMENT', outcome: 'notApplied' } };
    const [refused, first] = [put('k', 'v', ifNew), del('k')];
    const otherKey = put('l', 'v', ifNew, refused.requestId);
    expect(await resultAfter(leader, where, [refused, first], { ...refused, condition: none })).toMatchObject(reuse);
    // The same id for another key must not spoil the answer to the right one.
    const results = await leader.propose(otherKey, put('k', 'v', none, first.requestId), refused, first);
    expect(results).toMatchObject([reuse, reuse, { type: 'conditionFailed' }, { type: 'nothingDeleted' }]);
  });

  it('are not remembered for errors', async () => {
    const leader = new Leader();
    await leader.execute(put('k', 'v'));
    leader.clock = 1000;
    const operations = [put('k', 'v', { type: 'absent' }), del('l')];
    const late = [...operations, put('l', 'v')];
    expect((await leader.propose(...operations.slice(0, 1))).map(({ type }) => type)).toEqual(['failed']);
    leader.clock = 999;
    expect((await leader.propose(...late)).map(({ type }) => type)).toEqual(['failed', 'failed', 'written']);
    expect((await leader.propose(...operations)).map(({ type }) => type)).toEqual(['conditionFailed', 'written']);
  });

  const id = nextId();
  const original = put('k', 'v', none, id);
  const different: Record<string, WriteOperation> = {
    key: put('l', 'v', none, id),
    value: put('k', 'w', none, id),
    'empty value': put('k', '', none, id),
    type: del('k', none, id),
    condition: put('k', 'v', { type: 'absent' }, id),
    version: put('k', 'v', { type: 'versionEquals', version: Timestamp(1000) }, id),
    'expected value': put('k', 'v', { type: 'valueEquals', value: utf8('') }, id),
  };
  it.each(wheres.flatMap((where) => Object.keys(different).map((what) => ({ where, what }))))(
    'refuse another write: different $what ($where)',
    async ({ where, what }) => {
      const leader = new Leader();
      const result = await resultAfter(leader, where, [original], different[what]);
      expect(result).toMatchObject({ type: 'failed', error: { code: 'INVALID_ARGUMENT', outcome: 'notApplied' } });
      expect(result?.type === 'failed' && result.error.message).toMatch(/request id reuse/);
    },
  );

  it('are of one session', async () => {
    const leader = new Leader();
    await leader.execute(original);
    const otherSession = { session: new Uint8Array(16), seq: id.seq };
    expect(await leader.execute(put('k', 'w', none, otherSession))).toMatchObject({ type: 'written', version: 1001 });
  });

  it('of one session whose seqs are far apart are in buckets of their own', async () => {
    const leader = new Leader();
    const session = new Uint8Array(16).fill(9);
    const writes = [5, 2 ** 32 + 5, 2 ** 35 + 5, 6].map((seq) => put(`k${seq}`, 'v', none, { session, seq }));
    const written = [1000, 1001, 1002, 1003].map((version) => ({ type: 'written', version }));
    expect(await leader.propose(...writes)).toEqual(written);
    await leader.applyAll();
    expect(await leader.propose(...writes)).toEqual(written);
  });

  it('are kept as long as the shard has no version that is newer by more than the retention', async () => {
    const leader = new Leader(1);
    const [old, late, tooLate] = [0, 8, 16].map((seq) =>
      put('k', 'v', none, { session: new Uint8Array(16).fill(9), seq }),
    );
    expect(await leader.execute(old)).toEqual({ type: 'written', version: 1000 });
    leader.clock = 2000;
    await leader.execute(late);
    // The newest version is the one of `late` still: 1000 microseconds, the retention, after the old one.
    expect(await leader.execute(tooLate)).toMatchObject({ type: 'written' });
    expect(await leader.execute(old)).toEqual({ type: 'written', version: 1000 });
  });

  it('are forgotten after the retention, a few with each entry', async () => {
    const leader = new Leader(1);
    const old = Array.from({ length: 9 }, (_, i) => put(`k${i}`, 'v', none, inBucket(i)));
    await leader.propose(...old);
    await leader.applyAll();
    leader.clock = 2009;
    // 1000 to 1008 are older than 1 ms at 2009, of which the highest version so far knows nothing.
    const recent = put('k', 'v', none, inBucket(20));
    await leader.execute(recent);
    expect(await bucketsStored(leader)).toBe(10);
    const counts = [];
    for (let i = 0; i < 6; i++) {
      await leader.propose(put('k', 'v', none, inBucket(21 + i)));
      counts.push(forgottenBy(leader));
    }
    await leader.applyAll();
    expect(counts).toEqual([2, 2, 2, 2, 1, 0]);
    expect(await bucketsStored(leader)).toBe(7);
    expect(await leader.execute(old[8])).toMatchObject({ type: 'written', version: leader.clock - 1 });
    expect(await leader.execute(recent)).toMatchObject({ type: 'written', version: 2009 });
  });

  it.each(['applied', 'in flight', 'of the same entry'] as const)(
    'stay where their bucket has a younger one, which is %s',
    async (where) => {
      const leader = new Leader(1);
      const [old, young] = [put('k', 'v', none, inBucket(1)), put('k', 'w', none, { ...inBucket(1), seq: 9 })];
      await leader.execute(old);
      if (where === 'applied') {
        leader.clock = 1800;
        await leader.execute(young);
      }
      leader.clock = 2100;
      await leader.execute(put('l', 'v'));
      if (where === 'in flight') await leader.propose(young);
      await leader.propose(...(where === 'of the same entry' ? [young] : []), put('l', 'v'));
      expect(forgottenBy(leader)).toBe(0);
      await leader.applyAll();
      expect(await leader.execute(old)).toMatchObject({ type: 'written', version: 1000 });

      // With the young one it goes.
      leader.clock = 5000;
      for (let i = 0; i < 5; i++) await leader.execute(put('l', 'v'));
      expect(await leader.execute(old)).toMatchObject({ type: 'written', version: leader.clock - 1 });
    },
  );

  it.each(['withdrawn', 'lost'] as const)('are still forgotten when the entry that did so is %s', async (how) => {
    const leader = new Leader(1);
    const next = (
      (number) => () =>
        put('k', 'v', none, inBucket(number++))
    )(0);
    await leader.execute(next());
    leader.clock = 5000;
    await leader.execute(next());
    const operations = [next()];
    const prepared = await leader.evaluator.prepare(operations);
    const { ticket } = leader.evaluator.evaluate(operations, prepared, Timestamp(5001));
    if (how === 'withdrawn') leader.evaluator.withdraw(ticket ?? 0);
    else leader.lose();
    leader.clock = 5002;
    // The evaluator that was reset first learns the shard's highest version.
    await leader.execute(next());
    await leader.execute(next());
    expect(await bucketsStored(leader)).toBe(3);
  });

  it('do not pile up under a steady load', async () => {
    const leader = new Leader(10);
    for (let i = 0; i < 300; i++) {
      await leader.propose(put('k', 'v', none, inBucket(i)));
      leader.clock += 500;
      if (i % 3 === 0) await leader.applyAll();
    }
    await leader.applyAll();
    expect(await bucketsStored(leader)).toBeLessThan(30);
  });
});

describe('entries', () => {
  it('are made for answers that change nothing, too', async () => {
    const leader = new Leader();
    const operations = [put('k', 'v', { type: 'versionEquals', version: Timestamp(1) }), del('k')];
    await leader.propose(...operations);
    const results = await leader.propose(...operations);
    expect(results).toEqual([{ type: 'conditionFailed', current: undefined }, { type: 'nothingDeleted' }]);
    expect(leader.proposed.length).toBe(2);
    expect(leader.proposed[1].batch).toEqual(Uint8Array.of(2, 0));
    await leader.applyAll();
    expect((await leader.machine()).appliedIndex).toBe(initialIndex + 2);
    expect((await leader.machine()).maxVersion).toBe(1001);
  });

  it('are not made when every operation failed', async () => {
    const leader = new Leader();
    await leader.execute(put('k', 'v'));
    leader.clock = 1000;
    const results = await leader.propose(put('k', 'w'));
    expect(results).toMatchObject([
      { type: 'failed', error: { code: 'TIMESTAMP_UNAVAILABLE', outcome: 'notApplied' } },
    ]);
    expect(leader.proposed.length).toBe(0);
  });

  it('take what is above the highest version in flight when timestamps go back', async () => {
    const leader = new Leader();
    await leader.propose(put('a', 'v'), put('b', 'v'));
    leader.clock = 1000;
    const results = await leader.propose(put('c', 'v'), put('d', 'v'), put('e', 'v'));
    expect(results.map(({ type }) => type)).toEqual(['failed', 'failed', 'written']);
    await leader.applyAll();
    expect((await leader.machine()).maxVersion).toBe(1002);
  });

  it('know the highest version of a shard that was there before the evaluator', async () => {
    const leader = new Leader();
    await leader.execute(put('k', 'v'));
    const second = new Evaluator(leader.engine, { requestIdRetentionMs: 1 });
    const operations = [put('k', 'w')];
    const { results } = second.evaluate(operations, await second.prepare(operations), Timestamp(1000));
    expect(results).toMatchObject([{ type: 'failed', error: { code: 'TIMESTAMP_UNAVAILABLE' } }]);
  });

  it('must be applied in order', async () => {
    const leader = new Leader();
    await leader.propose(put('k', 'v'));
    await leader.propose(put('k', 'w'));
    expect(() => leader.evaluator.applied(2)).toThrow(AssertionError);
    expect(() => new Leader().evaluator.applied(1)).toThrow(AssertionError);
  });

  it('leave no trace when they are withdrawn', async () => {
    const leader = new Leader();
    await leader.execute(put('k', 'applied'));
    await leader.propose(put('k', 'in flight'), put('l', 'in flight'));
    const onceRefused = put('m', 'refused', { type: 'valueEquals', value: utf8('other') });
    const refused = [put('k', 'refused'), del('l'), onceRefused, put('m', 'refused')];
    const evaluated = leader.evaluator.evaluate(refused, await leader.evaluator.prepare(refused), Timestamp(1500));
    leader.evaluator.withdraw(evaluated.ticket ?? 0);
    leader.clock = 1600;
    const ask: Condition = { type: 'versionEquals', version: Timestamp(1) };
    const results = await leader.propose(put('k', '', ask), put('l', '', ask), put('m', '', ask), refused[0], {
      ...onceRefused,
      condition: none,
    });
    expect(results).toEqual([
      { type: 'conditionFailed', current: { version: 1001, value: utf8('in flight') } },
      { type: 'conditionFailed', current: { version: 1002, value: utf8('in flight') } },
      { type: 'conditionFailed', current: undefined },
      { type: 'written', version: 1603 },
      { type: 'written', version: 1604 },
    ]);
  });

  it.each([1, 10].flatMap((count) => (['writes', 'refused batches'] as const).map((expired) => ({ count, expired }))))(
    'add no more than a fixed number of bytes to each of $count operations, where $expired expire',
    async (each) => {
      const { count, expired } = each;
      const leader = new Leader(1);
      // Of an entry each, so that entries by time go as well; and buckets that have room for one record.
      for (let i = 0; i < 400; i++) {
        const { session, seq } = inBucket(1000 + i);
        if (expired === 'writes') await leader.execute(put('k', 'v', none, { session, seq }));
        else {
          const refused = Array.from({ length: requestsPerBucket }, (_, position) =>
            batch([['k', { type: 'versionEquals', version: Timestamp(1) }]], { session, seq: seq + position }),
          );
          await leader.propose(...refused);
          await leader.applyAll();
        }
      }
      leader.clock = 2 ** 52;
      const refused = (number: number, position: number): WriteOperation => {
        const { session, seq } = inBucket(100 + number);
        return del(
          'k'.repeat(4096),
          { type: 'versionEquals', version: Timestamp(1) },
          { session, seq: seq + position },
        );
      };
      for (let number = 0; number < count; number++) {
        await leader.propose(
          ...Array.from({ length: requestsPerBucket - 1 }, (_, position) => refused(number, position)),
        );
        await leader.applyAll();
      }
      const last = Array.from({ length: count }, (_, number) => refused(number, requestsPerBucket - 1));
      const results = await leader.propose(
        ...last.map(({ requestId }) => put('k'.repeat(4096), 'v'.repeat(100_000), none, requestId)),
      );
      expect(results.every(({ type }) => type === 'written')).toBe(true);
      expect(forgottenBy(leader)).toBe(expired === 'writes' ? 2 * count : Math.ceil((2 * count) / 9));
      const overhead = ((leader.proposed.at(-1)?.batch?.length ?? 0) - count * 104_096) / count;
      expect(overhead).toBeGreaterThan(operationOverheadBytesMax / 3);
      // A failed condition instead of a write takes 8 bytes more.
      expect(overhead + 8).toBeLessThanOrEqual(operationOverheadBytesMax);
    },
  );
});

describe('a reset', () => {
  it('forgets what was in flight', async () => {
    const leader = new Leader();
    await leader.execute(put('k', 'applied'));
    const lost = put('k', 'lost');
    await leader.propose(lost);
    leader.lose();
    expect(leader.evaluator.entriesInFlight).toBe(0);
    const [failed, written] = await leader.propose(put('k', '', { type: 'absent' }), lost);
    expect(failed).toMatchObject({ current: { value: utf8('applied') } });
    expect(written).toEqual({ type: 'written', version: leader.clock - 1 });
  });

  it('makes what was prepared before it fail', async () => {
    const leader = new Leader();
    await leader.execute(put('k', 'v'));
    const operations = [put('k', 'w'), del('k')];
    const prepared = await leader.evaluator.prepare(operations);
    leader.lose();
    const evaluated = leader.evaluator.evaluate(operations, prepared, Timestamp(5000));
    expect(evaluated.batch).toBeUndefined();
    const notLeader = { type: 'failed', error: { code: 'NOT_LEADER', outcome: 'notApplied' } };
    expect(evaluated.results).toMatchObject([notLeader, notLeader]);
  });

  it('ignores entries from before it that are applied late', async () => {
    const leader = new Leader();
    await leader.propose(put('k', 'v'));
    leader.evaluator.reset();
    await leader.applyAll();
    expect(await leader.execute(put('k', 'w', { type: 'valueEquals', value: utf8('v') }))).toMatchObject({
      type: 'written',
    });
  });
});

describe('prepared reads', () => {
  it('are good once, and only the newest', async () => {
    const { evaluator } = new Leader();
    const operations = [put('k', 'v')];
    const older = await evaluator.prepare(operations);
    const newer = await evaluator.prepare(operations);
    expect(() => evaluator.evaluate(operations, older, Timestamp(1))).toThrow(AssertionError);
    evaluator.evaluate(operations, newer, Timestamp(1));
    expect(() => evaluator.evaluate(operations, newer, Timestamp(2))).toThrow(AssertionError);
    expect(() => evaluator.evaluate([put('k', 'v')], newer, Timestamp(2))).toThrow(AssertionError);
  });

  it('come without a promise when the engine has everything in memory', async () => {
    const leader = new Leader();
    const refused = put('k', 'v', { type: 'absent' });
    await leader.propose(put('k', 'v'), refused);
    await leader.applyAll();
    const operations = [put('k', 'v', { type: 'absent' }), del('l'), refused];
    expect(leader.evaluator.prepare(operations)).not.toBeInstanceOf(Promise);
  });
});
