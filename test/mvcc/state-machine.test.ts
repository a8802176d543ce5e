import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import { descriptorKey, userKey } from '../../src/mvcc/keyspace.js';
import type { ScanSpec } from '../../src/mvcc/scan.js';
import { initialIndex, StateMachine } from '../../src/mvcc/state-machine.js';
import type { Effect } from '../../src/mvcc/write-batch-format.js';
import { encodeWriteBatch } from '../../src/mvcc/write-batch-writer.js';
import { NaiveEngine } from './naive-engine.js';

const descriptor = utf8('descriptor');
const options = { retention: 1000 };

function put(key: string, version: number, value = `${key}${version}`): Effect {
  return { type: 'put', key: userKey(utf8(key)), version: Timestamp(version), value: utf8(value) };
}

function del(key: string, version: number): Effect {
  return { type: 'delete', key: userKey(utf8(key)), version: Timestamp(version) };
}

function applyNext(machine: StateMachine, ...effects: Effect[]): void {
  machine.apply(LogIndex(machine.appliedIndex + 1), encodeWriteBatch(effects));
}

async function newMachine(engine = new NaiveEngine()): Promise<StateMachine> {
  return StateMachine.create(engine, descriptor, options);
}

async function reopen(engine: NaiveEngine, openOptions = options): Promise<StateMachine> {
  const machine = await StateMachine.open(engine, openOptions);
  if (machine === undefined) throw new Error('there is no shard');
  return machine;
}

describe('the descriptor', () => {
  it('of a state that took the place of another gives way to the next one, too', async () => {
    const engine = new NaiveEngine();
    const machine = await newMachine(engine);
    await machine.replaceState(() => {
      engine.write(new TreeBatch().put(descriptorKey, Timestamp(50), utf8('replaced')), LogIndex(7));
      return Promise.resolve();
    });
    expect(machine.descriptor).toEqual(utf8('replaced'));
    machine.applyDescriptor(LogIndex(8), utf8('next'));
    expect(machine.descriptor).toEqual(utf8('next'));
    expect((await reopen(engine)).descriptor).toEqual(utf8('next'));
  });
});

describe('a new shard', () => {
  it('is durable at once', async () => {
    const engine = new NaiveEngine();
    await newMachine(engine);
    const machine = await reopen(engine.reopened());
    expect(machine).toMatchObject({ descriptor, appliedIndex: initialIndex, maxVersion: 0, safePoint: 0 });
  });

  it('is not there before it was made', async () => {
    expect(await StateMachine.open(new NaiveEngine(), options)).toBeUndefined();
  });

  it('is made only in an empty engine', async () => {
    const engine = new NaiveEngine();
    await newMachine(engine);
    await expect(newMachine(engine)).rejects.toThrow(AssertionError);
  });
});

describe('applying', () => {
  it('takes entries in order, each once', async () => {
    const machine = await newMachine();
    for (const index of [0, 1, 3]) expect(() => machine.apply(LogIndex(index), emptyBytes)).toThrow(AssertionError);
    machine.apply(LogIndex(2), emptyBytes);
    expect(machine).toMatchObject({ appliedIndex: 2, maxVersion: 0 });
  });

  it('advances without effects', async () => {
    const machine = await newMachine();
    applyNext(machine, put('k', 1000));
    applyNext(machine);
    machine.apply(LogIndex(4), emptyBytes);
    expect(machine).toMatchObject({ appliedIndex: 4, maxVersion: 1000 });
  });

  it('changes nothing when the entry is damaged', async () => {
    const machine = await newMachine();
    applyNext(machine, put('k', 1000));
    const hash = await machine.stateHash();
    const damaged = encodeWriteBatch([put('k', 1001), put('l', 1002)]).subarray(0, -1);
    expect(() => machine.apply(LogIndex(3), damaged)).toThrow(DecodeError);
    expect(machine).toMatchObject({ appliedIndex: 2, maxVersion: 1000 });
    expect(await machine.stateHash()).toBe(hash);
  });

  it('refuses versions that do not grow', async () => {
    const machine = await newMachine();
    applyNext(machine, put('k', 1000));
    expect(() => applyNext(machine, put('k', 1000))).toThrow(AssertionError);
    expect(() => applyNext(machine, put('k', 999))).toThrow(AssertionError);
  });

  it('begins again after the last durable entry', async () => {
    const engine = new NaiveEngine();
    const machine = await newMachine(engine);
    applyNext(machine, put('k', 1000));
    await engine.flush();
    applyNext(machine, put('k', 1001), put('l', 1002));
    const reopened = await reopen(engine.reopened());
    expect(reopened).toMatchObject({ appliedIndex: 2, maxVersion: 1000 });
    expect(await reopened.read(utf8('k'), timestampMax)).toEqual({ version: 1000, value: utf8('k1000') });
    applyNext(reopened, put('k', 1001), put('l', 1002));
    expect(await reopened.stateHash()).toBe(await machine.stateHash());
  });
});

describe('a read', () => {
  it('sees the newest version at or below its timestamp', async () => {
    const machine = await newMachine();
    applyNext(machine, put('k', 1000), put('k', 1002));
    applyNext(machine, del('k', 1004));
    const at = (version: number): unknown => machine.read(utf8('k'), Timestamp(version));
    expect([999, 1000, 1001, 1002, 1003].map(at)).toMatchObject([
      undefined,
      { version: 1000 },
      { version: 1000 },
      { version: 1002 },
      { version: 1002 },
    ]);
    expect(at(1004)).toBeUndefined();
    expect(await machine.read(utf8('never'), timestampMax)).toBeUndefined();
  });

  it('is refused below the safe point', async () => {
    const machine = await newMachine();
    applyNext(machine, put('k', 5000));
    expect(machine.safePoint).toBe(4000);
    expect(machine.read(utf8('k'), Timestamp(4000))).toBeUndefined();
    expect(() => machine.read(utf8('k'), Timestamp(3999))).toThrow(/3999 is below the safe point 4000/);
    await expect(machine.scan({ ...page, at: Timestamp(3999) })).rejects.toMatchObject({ code: 'READ_TOO_OLD' });
  });
});

describe('the safe point', () => {
  it('reaches the engine only when it is durable', async () => {
    const engine = new NaiveEngine();
    const machine = await newMachine(engine);
    applyNext(machine, put('k', 5000));
    applyNext(machine, put('k', 6000));
    expect([machine.safePoint, engine.safePoint]).toEqual([5000, 0]);
    await engine.flush();
    applyNext(machine, put('k', 7000));
    expect([machine.safePoint, engine.safePoint]).toEqual([6000, 4000]);
    applyNext(machine, put('k', 8000));
    expect([machine.safePoint, engine.safePoint]).toEqual([7000, 4000]);
    const reopened = await reopen(engine.reopened());
    expect(reopened.safePoint).toBeGreaterThanOrEqual(engine.safePoint);
  });

  it('does not go back when versions are to be kept longer', async () => {
    const engine = new NaiveEngine();
    const machine = await newMachine(engine);
    applyNext(machine, put('k', 9000));
    await engine.flush();
    const reopened = await reopen(engine.reopened(), { retention: 5000 });
    expect(reopened.safePoint).toBe(8000);
    applyNext(reopened, put('k', 12_000));
    expect(reopened.safePoint).toBe(8000);
    applyNext(reopened, put('k', 14_000));
    expect(reopened.safePoint).toBe(9000);
  });
});

const page: ScanSpec = {
  start: emptyBytes,
  end: emptyBytes,
  at: timestampMax,
  reverse: false,
  keysOnly: false,
  bytesMax: 1000,
  recordsMax: 100,
};

describe('a page of a scan', () => {
  async function shardWith(...keys: string[]): Promise<StateMachine> {
    const machine = await newMachine();
    keys.forEach((key, i) => applyNext(machine, put(key, 1000 + i, 'value')));
    return machine;
  }

  const cases: Record<string, [Partial<ScanSpec>, string[], string | undefined]> = {
    everything: [{}, ['a', 'b', 'c', 'd'], undefined],
    'everything, backwards': [{ reverse: true }, ['d', 'c', 'b', 'a'], undefined],
    'from a key, included': [{ start: utf8('b') }, ['b', 'c', 'd'], undefined],
    'up to a key, excluded': [{ end: utf8('c') }, ['a', 'b'], undefined],
    'backwards between keys': [{ start: utf8('b'), end: utf8('d'), reverse: true }, ['c', 'b'], undefined],
    'an empty range': [{ start: utf8('b'), end: utf8('b') }, [], undefined],
    'at an earlier time': [{ at: Timestamp(1001) }, ['a', 'b'], undefined],
    'cut by records': [{ recordsMax: 2 }, ['a', 'b'], 'c'],
    'exactly as many records': [{ recordsMax: 4 }, ['a', 'b', 'c', 'd'], undefined],
    'cut by bytes': [{ bytesMax: 17 }, ['a', 'b'], 'c'],
    'exactly as many bytes': [{ bytesMax: 18 }, ['a', 'b', 'c'], 'd'],
    'one record at least': [{ bytesMax: 1 }, ['a'], 'b'],
    'keys do not count values': [{ bytesMax: 3, keysOnly: true }, ['a', 'b', 'c'], 'd'],
    'cut backwards': [{ recordsMax: 2, reverse: true }, ['d', 'c'], 'b\0'],
  };
  it.each(Object.keys(cases))('%s', async (name) => {
    const [spec, keys, resume] = cases[name];
    const machine = await shardWith('a', 'b', 'c', 'd');
    const result = await machine.scan({ ...page, ...spec });
    expect(result.records.map(({ key }) => new TextDecoder().decode(key))).toEqual(keys);
    expect(result.resume).toEqual(resume === undefined ? undefined : utf8(resume));
    const value = spec.keysOnly === true ? emptyBytes : utf8('value');
    for (const record of result.records) expect(record.value).toEqual(value);
  });

  it('holds user keys alone', async () => {
    const result = await (await newMachine()).scan(page);
    expect(result).toEqual({ records: [], resume: undefined });
  });
});

describe('the state hash', () => {
  const hashOf = async (bytes: Uint8Array, ...effects: Effect[]): Promise<string> => {
    const machine = await StateMachine.create(new NaiveEngine(), bytes, options);
    applyNext(machine, ...effects);
    return machine.stateHash();
  };

  it('differs where the state does', async () => {
    const hashes = await Promise.all([
      hashOf(descriptor, put('k', 1000, 'v')),
      hashOf(utf8('other'), put('k', 1000, 'v')),
      hashOf(descriptor, put('k', 1001, 'v')),
      hashOf(descriptor, put('k', 1000, 'w')),
      hashOf(descriptor, put('kv', 1000, '')),
      hashOf(descriptor, put('k', 1000, 'v'), put('l', 999, '')),
      hashOf(descriptor, del('k', 1000)),
    ]);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it('does not see versions that were replaced', async () => {
    const replaced = await hashOf(descriptor, put('k', 998), del('k', 999), put('k', 1000, 'v'));
    expect(replaced).toBe(await hashOf(descriptor, put('k', 1000, 'v')));
  });
});
