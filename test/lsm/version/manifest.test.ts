import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/base/bytes.js';
import { LogIndex } from '../../../src/base/ids.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { applyEdit, emptyLevels } from '../../../src/lsm/version/levels.js';
import { decodeCurrent, encodeCurrent } from '../../../src/lsm/version/manifest-format.js';
import { readManifest, type TreeState } from '../../../src/lsm/version/manifest-reader.js';
import { ManifestWriter } from '../../../src/lsm/version/manifest-writer.js';
import { decodeVersionRecord, encodeVersionRecord, type VersionEdit } from '../../../src/lsm/version/version-edit.js';
import { noValueFiles, valueFilesAfter } from '../../../src/lsm/value/value-files.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk } from '../harness.js';
import { levels, table } from '../tables.js';

const nothing = { removed: [], added: [], addedValues: [] } satisfies VersionEdit;

/** A writer with the state that it has written. */
class Writing {
  readonly disk: SimDisk = newDisk();
  readonly writer = new ManifestWriter(this.disk, 'tree', 100);
  state: TreeState = { levels: emptyLevels, valueFiles: noValueFiles, appliedIndex: LogIndex(0), nextFileNumber: 1 };
  number = 0;

  async append(edit: VersionEdit, appliedIndex: number): Promise<void> {
    const rest = { appliedIndex: LogIndex(appliedIndex), nextFileNumber: this.state.nextFileNumber + 1 };
    const levelsAfter = applyEdit(this.state.levels, edit);
    const addedValues = edit.addedValues ?? [];
    const valueFiles = valueFilesAfter(this.state.valueFiles, this.state.levels, edit);
    const state = { levels: levelsAfter, valueFiles, ...rest };
    this.number = await this.writer.append({ ...edit, addedValues, ...rest }, state, () => this.state.nextFileNumber);
    this.state = state;
  }

  static async begin(): Promise<Writing> {
    const writing = new Writing();
    await writing.disk.makeDirectory('tree');
    await writing.append(nothing, 0);
    return writing;
  }
}

describe('a manifest', () => {
  it('gives back the state after all edits, through new manifests', async () => {
    const writing = await Writing.begin();
    const numbers = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const removed = i < 5 ? [] : [{ level: 0, number: 100 + i - 5 }];
      await writing.append({ removed, added: [{ level: 0, table: table(`${100 + i}:a-z*77@5`) }] }, 10 * i);
      const read = await readManifest(writing.disk, 'tree');
      expect(read.state.levels).toEqual(writing.state.levels);
      expect(read.state.appliedIndex).toBe(10 * i);
      expect(read.state.nextFileNumber).toBeGreaterThanOrEqual(writing.state.nextFileNumber);
      expect(read.pointer.number).toBe(writing.number);
      numbers.add(writing.number);
    }
    expect(numbers.size).toBeGreaterThan(2);
    expect(numbers.size).toBeLessThan(20);
  });

  it('is begun anew where another writer has stopped, whatever that left', async () => {
    const { disk } = await Writing.begin();
    const file = await disk.open('tree/manifest-000001', 'readWrite');
    await file.write(new Uint8Array(500).fill(0xee), await file.size());
    const writer = new ManifestWriter(disk, 'tree', 100);
    const record = { ...nothing, added: [{ level: 3, table: table('9:a-b') }] };
    const rest = { appliedIndex: LogIndex(4), nextFileNumber: 10 };
    await writer.append(
      { ...record, ...rest },
      { levels: applyEdit(emptyLevels, record), valueFiles: noValueFiles, ...rest },
      () => 10,
    );
    const { state, pointer } = await readManifest(disk, 'tree');
    expect(state).toEqual({
      levels: levels('', '', '', '9:a-b'),
      valueFiles: noValueFiles,
      ...rest,
      nextFileNumber: 11,
    });
    expect(pointer.number).toBe(10);
  });

  it('is not appended to after a failure: the next edit begins a new one', async () => {
    const writing = await Writing.begin();
    await writing.append(nothing, 1);
    expect(writing.number).toBe(1);
    writing.disk.fault = (operation) => (operation === 'sync' ? 'noSpace' : undefined);
    await expect(writing.append(nothing, 2)).rejects.toThrow('noSpace');
    writing.disk.fault = undefined;
    expect((await readManifest(writing.disk, 'tree')).state.appliedIndex).toBe(1);
    await writing.append(nothing, 2);
    expect(writing.number).toBeGreaterThan(1);
    expect((await readManifest(writing.disk, 'tree')).state.appliedIndex).toBe(2);
  });

  it('has this form, byte for byte', async () => {
    const writing = await Writing.begin();
    await writing.append({ removed: [], added: [{ level: 0, table: table('300:apple-pear*70000@9') }] }, 1000);
    await writing.append({ ...nothing, removed: [{ level: 0, number: 300 }] }, 1001);
    const shown = writing.disk
      .paths()
      .map((path) => `${path}\n${(toHex(writing.disk.content(path)).match(/.{1,64}/g) ?? []).join('\n')}\n`);
    await expect(shown.join('\n')).toMatchFileSnapshot('golden/manifest.hex');
  });

  it('that makes no sense is damaged, though its checksums are right', async () => {
    const { disk, writer } = await Writing.begin();
    const removed = [{ level: 2, number: 5 }];
    const rest = { appliedIndex: LogIndex(4), nextFileNumber: 10 };
    await writer.append(
      { ...nothing, removed, ...rest },
      { levels: emptyLevels, valueFiles: noValueFiles, ...rest },
      () => 10,
    );
    const reading = readManifest(disk, 'tree');
    await expect(reading).rejects.toThrow(CorruptionError);
    await expect(reading).rejects.toThrow('table 5 is not on level 2');
  });
});

describe('records of edits and CURRENT', () => {
  it('survive coding', () => {
    const record = {
      removed: [{ level: 6, number: 3 }],
      added: [{ level: 0, table: table('4:a-zzz*123456789@77') }],
      addedValues: [{ number: 7, bytes: 2 ** 40, fingerprint: 0xdeadbeef, values: 12, valueBytes: 2 ** 39 }],
      appliedIndex: LogIndex(2 ** 52),
      nextFileNumber: 5,
    };
    expect(decodeVersionRecord(encodeVersionRecord(record))).toEqual(record);
    const pointer = { number: 2 ** 40, length: 2 ** 33, checksum: 0xdeadbeef };
    expect(decodeCurrent(encodeCurrent(pointer))).toEqual(pointer);
  });

  it('of an unknown level are refused', () => {
    const record = { ...nothing, removed: [{ level: 7, number: 3 }], appliedIndex: LogIndex(0), nextFileNumber: 1 };
    expect(() => decodeVersionRecord(encodeVersionRecord(record))).toThrow('there is no level 7');
  });
});
