import { assert } from '../../base/assert.js';
import { CorruptionError, errorOf } from '../../base/errors.js';
import { LogIndex } from '../../base/ids.js';
import { makeDurableDirectory, syncNames, type Disk } from '../../env/disk.js';
import type { Logger } from '../../env/logger.js';
import { isNoSpace } from '../background-errors.js';
import type { BlockCache } from '../block-cache.js';
import type { OpenFiles } from '../sstable/open-files.js';
import { SstableReader } from '../sstable/sstable-reader.js';
import { newReadCounters, type ReadCounters } from '../sstable/sstable-resources.js';
import type { TableMetadata } from '../sstable/sstable-format.js';
import {
  currentFileName,
  fileOfLostTree,
  manifestFileName,
  parseFileName,
  tableFileName,
  valueFileName,
} from './file-names.js';
import { applyEdit, emptyLevels, type Levels } from './levels.js';
import { noValueFiles, valueFilesAfter, type ValueFiles } from '../value/value-files.js';
import type { ValueFileMetadata } from '../value/value-file-format.js';
import { ValueFileReader } from '../value/value-file-reader.js';
import { LsmVersion, type SharedTable, type SharedValueFile } from './lsm-version.js';
import { readManifest, type Manifest } from './manifest-reader.js';
import { ManifestWriter } from './manifest-writer.js';
import type { VersionEdit } from './version-edit.js';

export interface VersionSetResources {
  readonly disk: Disk;
  readonly blockCache: BlockCache;
  readonly openFiles: OpenFiles;
  readonly logger: Logger;
}

/**
 * The current version of a tree, and the way to the next one. Owns the files in the tree's folder.
 *
 * Invariants:
 * - The current version is what the durable CURRENT says: an edit is first durable, then seen.
 * - A file is removed only when no durable state names it and no reader holds it.
 * - A number is given to a file once.
 */
export class VersionSet {
  readonly readCounters: ReadCounters = newReadCounters();
  readonly #directory: string;
  readonly #resources: VersionSetResources;
  readonly #manifest: ManifestWriter;
  /** Manifests on disk; all but the one that counts go when an edit has succeeded. */
  readonly #manifestNumbers: Set<number>;
  #current: LsmVersion;
  #appliedIndex: LogIndex;
  #nextFileNumber: number;
  /** The last edit has failed: which state is on disk is not known. */
  #isInDoubt = false;
  /** See {@link confirm}. */
  #isConfirmed = false;
  /** What was in the folder when it was opened and is not the current version's: it goes when that is confirmed. */
  #unwanted: readonly string[] = [];
  /** Edits queue behind each other. */
  #lastEdit: Promise<unknown> = Promise.resolve();
  readonly #removals = new Set<Promise<void>>();
  /** Why no edit is made any more. */
  #failure: Error | undefined;
  #closed = false;

  static async create(
    directory: string,
    manifestBytesMax: number,
    resources: VersionSetResources,
  ): Promise<VersionSet> {
    const { disk } = resources;
    await makeDurableDirectory(disk, directory);
    await clearUnfinishedCreation(disk, directory);
    const versions = new VersionSet(directory, manifestBytesMax, resources, undefined);
    await versions.confirm();
    return versions;
  }

  static async open(directory: string, manifestBytesMax: number, resources: VersionSetResources): Promise<VersionSet> {
    const manifest = await readManifest(resources.disk, directory);
    const versions = new VersionSet(directory, manifestBytesMax, resources, manifest);
    try {
      versions.#unwanted = await versions.#findFiles();
      await versions.confirm().catch((error: unknown) => {
        if (!isNoSpace(error)) throw error;
        resources.logger.warn('no space on the disk: a tree can be read, not changed', { directory });
      });
      await versions.#removalsDone();
    } catch (error) {
      await versions.close();
      throw error;
    }
    return versions;
  }

  private constructor(
    directory: string,
    manifestBytesMax: number,
    resources: VersionSetResources,
    manifest: Manifest | undefined,
  ) {
    this.#directory = directory;
    this.#resources = resources;
    this.#manifest = new ManifestWriter(resources.disk, directory, manifestBytesMax);
    this.#manifestNumbers = new Set(manifest === undefined ? [] : [manifest.pointer.number]);
    this.#appliedIndex = manifest?.state.appliedIndex ?? LogIndex(0);
    this.#nextFileNumber = manifest?.state.nextFileNumber ?? 1;
    this.#current = this.#makeVersion(
      manifest?.state.levels ?? emptyLevels,
      manifest?.state.valueFiles ?? noValueFiles,
      undefined,
    );
  }

  /** Borrowed: retain it to read over several turns. */
  get current(): LsmVersion {
    return this.#current;
  }

  /** Of the last batch that is in tables. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** The same, once it is known that a crash cannot take it away; until then 0. */
  get durableAppliedIndex(): LogIndex {
    return this.#isConfirmed ? this.#appliedIndex : LogIndex(0);
  }

  /** Whether an edit has succeeded since the opening. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /**
   * Writes the state anew. What was seen at the opening may be what an edit left whose sync failed, and then the power can
   * still take it away; another sync would not help (a disk forgets what it failed to write). Until an edit has succeeded it
   * can be read, but nobody may rely on it: neither go files that it does not name, nor what a log has of its batches.
   */
  async confirm(): Promise<void> {
    await this.apply({ removed: [], added: [] });
  }

  get directory(): string {
    return this.#directory;
  }

  tablePath(number: number): string {
    return `${this.#directory}/${tableFileName(number)}`;
  }

  /** The first of `count` numbers that are now the caller's. */
  takeFileNumbers(count: number): number {
    const first = this.#nextFileNumber;
    this.#nextFileNumber += count;
    return first;
  }

  /**
   * Makes the edit durable, then current. Files that it adds are durable already, but for their names. If it rejects, the edit
   * has not happened, yet a crash may show it: the files of both sides must stay until an edit has succeeded. Only after
   * one that failed for want of space another may be tried.
   * @param edit or what makes it when its turn has come
   */
  apply(edit: VersionEdit | (() => VersionEdit)): Promise<void> {
    const done = this.#lastEdit.then(() => this.#apply(typeof edit === 'function' ? edit() : edit));
    this.#lastEdit = done.catch(() => undefined);
    return done;
  }

  async #apply(edit: VersionEdit): Promise<void> {
    assert(!this.#closed, 'an edit of a closed tree');
    this.#throwIfFailed();
    try {
      await this.#makeDurable(edit);
      this.#isInDoubt = false;
    } catch (error) {
      this.#isInDoubt = true;
      if (!isNoSpace(error)) this.refuseEdits(errorOf(error));
      throw error;
    }
  }

  /** Nothing is said to be durable any more, also not what is under way. */
  refuseEdits(reason: Error): void {
    this.#failure ??= reason;
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The folder is synced by edits alone, one after the other: where that fails no edit may follow, see {@link syncNames}. */
  async #syncNames({ added, removed }: VersionEdit): Promise<void> {
    const moved = new Set(removed.map(({ number }) => number));
    if (added.every(({ table }) => moved.has(table.number))) return;
    await syncNames(this.#resources.disk, this.#directory);
  }

  async #makeDurable(edit: VersionEdit): Promise<void> {
    const levels = applyEdit(this.#current.levels, edit);
    const addedValues = edit.addedValues ?? [];
    const valueFiles = valueFilesAfter(this.#current.valueFiles, this.#current.levels, edit);
    const appliedIndex = edit.appliedIndex ?? this.#appliedIndex;
    assert(appliedIndex >= this.#appliedIndex, `applied index ${appliedIndex} after ${this.#appliedIndex}`);
    const rest = { appliedIndex, nextFileNumber: this.#nextFileNumber };
    await this.#syncNames(edit);
    const manifestNumber = await this.#manifest.append(
      { removed: edit.removed, added: edit.added, addedValues, ...rest },
      { levels, valueFiles, ...rest },
      () => {
        const number = this.takeFileNumbers(1);
        this.#manifestNumbers.add(number);
        return number;
      },
    );
    this.#throwIfFailed();

    const previous = this.#current;
    this.#appliedIndex = appliedIndex;
    this.#current = this.#makeVersion(levels, valueFiles, previous);
    this.#isConfirmed = true;
    previous.release();
    for (const path of this.#unwanted) this.#removeInBackground(path);
    this.#unwanted = [];
    for (const number of this.#manifestNumbers) {
      if (number === manifestNumber) continue;
      this.#manifestNumbers.delete(number);
      this.#removeInBackground(`${this.#directory}/${manifestFileName(number)}`);
    }
  }

  #makeVersion(levels: Levels, valueFiles: ValueFiles, previous: LsmVersion | undefined): LsmVersion {
    const existing = previous === undefined ? new Map<number, SharedTable>() : sharedTablesOf(previous);
    const values = new Map(
      [...valueFiles.values()].map(({ metadata }) => [
        metadata.number,
        previous?.sharedValues.get(metadata.number) ?? { reader: this.#valueReader(metadata), references: 0 },
      ]),
    );
    const tables = levels.map((level) =>
      level.map((metadata) => existing.get(metadata.number) ?? { reader: this.#reader(metadata), references: 0 }),
    );
    return new LsmVersion({ levels, valueFiles }, tables, values, (file) => this.#dropFile(file));
  }

  #reader(metadata: TableMetadata): SstableReader {
    const { disk, blockCache, openFiles } = this.#resources;
    const resources = { disk, openFiles, cache: blockCache.partition(), counters: this.readCounters };
    return new SstableReader(this.tablePath(metadata.number), metadata, resources);
  }

  #valueReader(metadata: ValueFileMetadata): ValueFileReader {
    const { disk, blockCache, openFiles } = this.#resources;
    const path = `${this.#directory}/${valueFileName(metadata.number)}`;
    return new ValueFileReader(path, metadata, { disk, openFiles, cache: blockCache.partition() });
  }

  #dropFile({ reader }: SharedTable | SharedValueFile): void {
    this.#track(reader.close().catch((error: unknown) => this.#warn('closing a file failed', reader.path, error)));
    // At the close of the tree its versions are released too: then the tables stay.
    if (!this.#closed) this.#removeInBackground(reader.path);
  }

  /** What cannot be removed stays until the tree is opened again. */
  #removeInBackground(path: string): void {
    this.#track(
      this.#resources.disk
        .remove(path)
        .catch((error: unknown) => this.#warn('removing an obsolete file failed', path, error)),
    );
  }

  #track(work: Promise<void>): void {
    const tracked = work.then(() => {
      this.#removals.delete(tracked);
    });
    this.#removals.add(tracked);
  }

  #warn(message: string, path: string, error: unknown): void {
    this.#resources.logger.warn(message, { path, error: String(error) });
  }

  /** At a start: takes note of numbers in use, and gives the files that nothing names. Every named table must be there. */
  async #findFiles(): Promise<readonly string[]> {
    const unwanted: string[] = [];
    const wanted = new Set(sharedTablesOf(this.#current).keys());
    const missing = new Set(wanted);
    const wantedValues = new Set(this.#current.valueFiles.keys());
    const missingValues = new Set(wantedValues);
    for (const name of await this.#resources.disk.list(this.#directory)) {
      const file = parseFileName(name);
      const path = `${this.#directory}/${name}`;
      switch (file.type) {
        case 'table':
          missing.delete(file.number);
          this.#nextFileNumber = Math.max(this.#nextFileNumber, file.number + 1);
          if (!wanted.has(file.number)) unwanted.push(path);
          break;
        case 'values':
          missingValues.delete(file.number);
          this.#nextFileNumber = Math.max(this.#nextFileNumber, file.number + 1);
          if (!wantedValues.has(file.number)) unwanted.push(path);
          break;
        case 'manifest':
          this.#nextFileNumber = Math.max(this.#nextFileNumber, file.number + 1);
          if (!this.#manifestNumbers.has(file.number)) unwanted.push(path);
          break;
        // Every edit replaces it.
        case 'aside':
        case 'current':
        case 'foreign':
          break;
      }
    }
    for (const number of missing) throw new CorruptionError(this.tablePath(number), 0, 'the table is missing');
    for (const number of missingValues) {
      throw new CorruptionError(`${this.#directory}/${valueFileName(number)}`, 0, 'the value file is missing');
    }
    return unwanted;
  }

  async #removalsDone(): Promise<void> {
    while (this.#removals.size > 0) await Promise.all(this.#removals);
  }

  /** Reads the manifest again: it must say what is current. */
  async verify(): Promise<void> {
    const verified = this.#lastEdit.then(async () => {
      const { state } = await readManifest(this.#resources.disk, this.#directory);
      if (this.#isInDoubt) return;
      const onDisk = state.levels.map((tables) => tables.map(({ number }) => number));
      const current = this.#current.levels.map((tables) => tables.map(({ number }) => number));
      assert(JSON.stringify(onDisk) === JSON.stringify(current), 'the manifest on disk is not that of the tree');
    });
    this.#lastEdit = verified.catch(() => undefined);
    await verified;
  }

  /** Waits for edits and removals that are under way and closes the tables. Versions that are still held end with it. */
  async close(): Promise<void> {
    await this.#lastEdit;
    this.#closed = true;
    const files = [...this.#current.tables(), ...this.#current.sharedValues.values()];
    await Promise.all(files.map(({ reader }) => reader.close()));
    await this.#removalsDone();
  }
}

function sharedTablesOf(version: LsmVersion): Map<number, SharedTable> {
  return new Map([...version.tables()].map((table) => [table.reader.metadata.number, table]));
}

/** Where there was a tree whose root is lost, nothing is touched. */
async function clearUnfinishedCreation(disk: Disk, directory: string): Promise<void> {
  const names = await disk.list(directory);
  assert(!names.includes(currentFileName), `there is a tree in ${directory} already`);
  const found = fileOfLostTree(names);
  if (found !== undefined) {
    throw new CorruptionError(`${directory}/${currentFileName}`, 0, `it is missing, though there is ${found}`);
  }
  for (const name of names) if (parseFileName(name).type !== 'foreign') await disk.remove(`${directory}/${name}`);
}
