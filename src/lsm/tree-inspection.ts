import { CorruptionError } from '../base/errors.js';
import type { LogIndex } from '../base/ids.js';
import type { Disk } from '../env/disk.js';
import { compareEntries, type Entry } from './entry.js';
import type { KeyBounds } from './iterator/entry-iterator.js';
import { MergingIterator } from './iterator/merging-iterator.js';
import type { RangeTombstone } from './range/range-tombstones.js';
import { scanRanges } from './sstable/range-scan.js';
import { SstableReader } from './sstable/sstable-reader.js';
import { jobResources } from './sstable/sstable-resources.js';
import { verifySstable } from './sstable/verify-sstable.js';
import type { ValuePointer } from './value/value-file-format.js';
import { ValueFileReader } from './value/value-file-reader.js';
import { valueFileMetrics, type ValueFileMetrics } from './value/value-files.js';
import { manifestFileName, parseFileName, tableFileName, valueFileName } from './version/file-names.js';
import { summarizeLevels, type LevelSummary } from './version/level-summary.js';
import { LsmVersion, type SharedTable, type SharedValueFile } from './version/lsm-version.js';
import { readManifest, type TreeState } from './version/manifest-reader.js';

/** Blocks that a walk over the entries may meet again: those of indexes. */
const cacheBytesMax = 16 * 1024 * 1024;

interface Files {
  readonly tables: readonly (readonly SharedTable[])[];
  readonly values: ReadonlyMap<number, SharedValueFile>;
}

type DamageListener = (error: CorruptionError) => void;

/** A look at the files of a tree that nobody has open: nothing is changed, collected or repaired. */
export class TreeInspection {
  readonly directory: string;
  readonly manifestPath: string;
  /** Of the last batch that is in tables. */
  readonly appliedIndex: LogIndex;
  readonly levels: readonly LevelSummary[];
  /** Large values beside the tables. */
  readonly values: ValueFileMetrics;
  /** Files that no manifest names: what a crash left behind, or somebody else's. */
  readonly strayPaths: readonly string[];
  readonly #version: LsmVersion;
  readonly #state: TreeState;
  readonly #files: Files;

  /** Rejects with a CorruptionError if CURRENT or the manifest is damaged or missing. */
  static async open(disk: Disk, directory: string): Promise<TreeInspection> {
    const { pointer, state } = await readManifest(disk, directory);
    const resources = jobResources(disk, cacheBytesMax);
    const tables = state.levels.map((level) =>
      level.map((table) => {
        const path = `${directory}/${tableFileName(table.number)}`;
        return { reader: new SstableReader(path, table, resources()), references: 0 };
      }),
    );
    const { openFiles } = resources();
    const values = new Map(
      [...state.valueFiles.values()].map(({ metadata }) => {
        const path = `${directory}/${valueFileName(metadata.number)}`;
        return [metadata.number, { reader: new ValueFileReader(path, metadata, { disk, openFiles }), references: 0 }];
      }),
    );
    const manifestName = manifestFileName(pointer.number);
    const expected = new Set([
      manifestName,
      ...state.levels.flat().map(({ number }) => tableFileName(number)),
      ...[...state.valueFiles.keys()].map(valueFileName),
    ]);
    const names = await disk.list(directory);
    const stray = names.filter((name) => parseFileName(name).type !== 'current' && !expected.has(name));
    return new TreeInspection(directory, manifestName, state, { tables, values }, stray);
  }

  private constructor(
    directory: string,
    manifestName: string,
    state: TreeState,
    files: Files,
    stray: readonly string[],
  ) {
    this.directory = directory;
    this.manifestPath = `${directory}/${manifestName}`;
    this.appliedIndex = state.appliedIndex;
    this.levels = summarizeLevels(state.levels);
    this.values = valueFileMetrics(state.valueFiles);
    this.strayPaths = stray.map((name) => `${directory}/${name}`);
    this.#state = state;
    this.#files = files;
    this.#version = versionOf(state, files);
  }

  /** Reads every byte of every file, as Tree.verify does, and goes on after damage: the first of each file. */
  async verify(): Promise<CorruptionError[]> {
    const found = new Map<string, CorruptionError>();
    const noteDamage = (error: unknown): void => {
      if (!(error instanceof CorruptionError)) throw error;
      if (!found.has(error.file)) found.set(error.file, error);
    };
    for (const { reader } of this.#version.sharedValues.values()) await reader.verify().catch(noteDamage);
    const follow = async (pointer: ValuePointer): Promise<void> => {
      const reader = this.#version.valueFile(pointer);
      // Of one that is damaged all values may be: that is said already, and the table may be damaged as well.
      if (!found.has(reader.path)) await reader.verifyPointer(pointer).catch(noteDamage);
    };
    for (const { reader } of this.#version.tables()) {
      await verifySstable(reader, follow).catch(noteDamage);
      await reader.close();
    }
    return [...found.values()];
  }

  /**
   * All entries that the tables have within the bounds, hidden ones too, as Tree.openVersionIterator.
   * @param onDamage learns of a damaged table, whose other entries are left out from there on, and of a value file with
   * damage, of which the damaged values are left out
   */
  async *entries({ lower, upper }: KeyBounds, onDamage: DamageListener): AsyncGenerator<Entry, void> {
    const damaged = new Set<string>();
    const noteDamage = (error: unknown): void => {
      if (!(error instanceof CorruptionError)) throw error;
      if (!damaged.has(error.file)) onDamage(error);
      damaged.add(error.file);
    };
    let last: Pick<Entry, 'key' | 'version'> | undefined;
    for (;;) {
      const sound = this.#files.tables.map((level) => level.filter(({ reader }) => !damaged.has(reader.path)));
      const sources = versionOf(this.#state, { ...this.#files, tables: sound }).iterators(
        { lower: last?.key ?? lower, upper },
        false,
      );
      const entries = new MergingIterator(sources, false);
      try {
        for (await entries.start(); entries.valid; await entries.advance()) {
          const { key, version, kind, value } = entries;
          if (last !== undefined && compareEntries(key, version, last.key, last.version) <= 0) continue;
          last = { key, version };
          if (kind !== 'pointer') {
            yield { key, version, kind, value };
            continue;
          }
          const read = await this.#value(value, noteDamage);
          if (read !== undefined) yield { key, version, kind: 'put', value: read };
        }
        return;
      } catch (error) {
        noteDamage(error);
      }
    }
  }

  async #value(pointer: Uint8Array, noteDamage: (error: unknown) => void): Promise<Uint8Array | undefined> {
    try {
      return await this.#version.value(pointer);
    } catch (error) {
      noteDamage(error);
      return undefined;
    }
  }

  /**
   * The range tombstones that the tables have within the bounds, table by table, the newest first.
   * @param onDamage learns of a damaged table, whose own are left out
   */
  async *rangeTombstones(bounds: KeyBounds, onDamage: DamageListener): AsyncGenerator<RangeTombstone, void> {
    for (const reader of this.#version.rangeSources(bounds)) {
      try {
        for await (const { lower, upper, versions } of scanRanges(reader, bounds)) {
          for (const version of versions) yield { lower, upper, version };
        }
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        onDamage(error);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { reader } of this.#version.tables()) await reader.close();
    for (const { reader } of this.#version.sharedValues.values()) await reader.close();
  }
}

function versionOf({ valueFiles }: TreeState, { tables, values }: Files): LsmVersion {
  const levels = tables.map((level) => level.map(({ reader }) => reader.metadata));
  return new LsmVersion({ levels, valueFiles }, tables, values, () => undefined);
}
