import { describe, expect, test } from 'vitest';

import { utf8 } from '../../../src/base/bytes.js';
import { deferred, type Deferred } from '../../../src/base/promises.js';
import { Importer, type ImporterOptions } from '../../../src/cli/import/importer.js';
import type { ImportItem } from '../../../src/cli/import/record.js';
import { escapeBytes } from '../../../src/cli/text.js';

const options: ImporterOptions = { operationsInFlightMax: 4, bytesInFlightMax: 1000, skipBadLines: false };

function record(line: number, key: string, value = 'v'): ImportItem {
  return { type: 'record', record: { line, key: utf8(key), value: utf8(value) } };
}

function bad(line: number): ImportItem {
  return { type: 'bad', bad: { line, reason: 'no good' } };
}

async function* stream(items: readonly ImportItem[]): AsyncGenerator<ImportItem> {
  for (const item of items) yield await Promise.resolve(item);
}

/** A store whose writes end when the test says so. */
class ManualStore {
  readonly started: string[] = [];
  readonly #open = new Map<string, Deferred<undefined>>();
  #onStart: () => void = () => undefined;

  readonly put = (written: { key: Uint8Array; value: Uint8Array }): Promise<undefined> => {
    const name = `${escapeBytes(written.key)}=${escapeBytes(written.value)}`;
    const end = deferred<undefined>();
    this.started.push(name);
    this.#open.set(name, end);
    this.#onStart();
    return end.promise;
  };

  async untilStarted(count: number): Promise<void> {
    while (this.started.length < count) await new Promise<void>((resolve) => (this.#onStart = resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }

  end(name: string, error?: Error): void {
    const open = this.#open.get(name);
    this.#open.delete(name);
    if (error === undefined) open?.resolve(undefined);
    else open?.reject(error);
  }
}

describe('an import', () => {
  test('keeps at most the allowed number of writes under way', async () => {
    const store = new ManualStore();
    const importer = new Importer(
      { ...options, operationsInFlightMax: 2 },
      { put: store.put, onProgress: () => undefined },
    );
    const done = importer.run(stream([record(1, 'a'), record(2, 'b'), record(3, 'c')]));
    await store.untilStarted(2);
    expect(store.started).toEqual(['a=v', 'b=v']);
    store.end('b=v');
    await store.untilStarted(3);
    store.end('a=v');
    store.end('c=v');
    expect(await done).toMatchObject({ records: 3, bytes: 6, skipped: 0, failure: undefined });
  });

  test('keeps at most the allowed bytes under way, but lets one large record through', async () => {
    const store = new ManualStore();
    const importer = new Importer({ ...options, bytesInFlightMax: 3 }, { put: store.put, onProgress: () => undefined });
    const done = importer.run(stream([record(1, 'a', 'large'), record(2, 'b')]));
    await store.untilStarted(1);
    expect(store.started).toEqual(['a=large']);
    store.end('a=large');
    await store.untilStarted(2);
    store.end('b=v');
    expect((await done).records).toBe(2);
  });

  test('writes records of one key one after the other, in the order of the file', async () => {
    const store = new ManualStore();
    const importer = new Importer(options, { put: store.put, onProgress: () => undefined });
    const done = importer.run(stream([record(1, 'a', '1'), record(2, 'a', '2')]));
    await store.untilStarted(1);
    expect(store.started).toEqual(['a=1']);
    store.end('a=1');
    await store.untilStarted(2);
    store.end('a=2');
    expect((await done).records).toBe(2);
  });

  test('stops at a bad line and waits for what is under way', async () => {
    const store = new ManualStore();
    const importer = new Importer(options, { put: store.put, onProgress: () => undefined });
    const done = importer.run(stream([record(1, 'a'), bad(2), record(3, 'c')]));
    await store.untilStarted(1);
    store.end('a=v');
    expect(await done).toMatchObject({ records: 1, failure: { type: 'badLine', bad: { line: 2 } } });
    expect(store.started).toEqual(['a=v']);
  });

  test('counts bad lines where they are skipped', async () => {
    const importer = new Importer(
      { ...options, skipBadLines: true },
      { put: () => Promise.resolve(), onProgress: () => undefined },
    );
    const result = await importer.run(stream([bad(1), record(2, 'a'), bad(3)]));
    expect(result).toMatchObject({ records: 1, skipped: 2, failure: undefined });
    expect(result.skippedLines.map(({ line }) => line)).toEqual([1, 3]);
  });

  test('stops where the rest cannot be read, even if bad lines are skipped', async () => {
    const importer = new Importer(
      { ...options, skipBadLines: true },
      { put: () => Promise.resolve(), onProgress: () => undefined },
    );
    const unreadable: ImportItem = { type: 'unreadable', bad: { line: 2, reason: 'no good' } };
    const result = await importer.run(stream([record(1, 'a'), unreadable]));
    expect(result).toMatchObject({ records: 1, skipped: 0, failure: { type: 'badLine', bad: { line: 2 } } });
  });

  test('stops at the first write that fails, names its line, and counts what was acknowledged', async () => {
    const store = new ManualStore();
    const importer = new Importer(
      { ...options, operationsInFlightMax: 2 },
      { put: store.put, onProgress: () => undefined },
    );
    const done = importer.run(stream([record(1, 'a'), record(2, 'b'), record(3, 'c')]));
    await store.untilStarted(2);
    const error = new Error('no quorum');
    store.end('b=v', error);
    store.end('a=v');
    expect(await done).toMatchObject({ records: 1, failure: { type: 'writeFailed', line: 2, error } });
    expect(store.started).toEqual(['a=v', 'b=v']);
  });
});
