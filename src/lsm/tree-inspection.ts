import { CorruptionError } from '../base/errors.js';
import type { LogIndex } from '../base/ids.js';
import type { Disk } from '../env/disk.js';
import { compareEntries, type Entry } from './entry.js';
import type { KeyBounds } from './iterator/entry-iterator.js';
import { MergingIterator } from './iterator/merging-iterator.js';
import { VersionIterator } from './iterator/tree-iterator.js';
import type { RangeTombstone } from './range/range-tombstones.js';
import { scanRanges } from './sstable/range-scan.js';
import { SstableReader } from './sstable/sstable-reader.js';
import { jobResources } from './sstable/sstable-resources.js';
import { verifySstable } from './sstable/verify-sstable.js';
import { manifestFileName, parseFileName, tableFileName } from './version/file-names.js';
import { summarizeLevels, type LevelSummary } from './version/level-summary.js';
import type { Levels } from './version/levels.js';
import { LsmVersion, type SharedTable } from './version/lsm-version.js';
import { readManifest } from './version/manifest-reader.js';

/** Blocks that a walk over the entries may meet again: those of indexes. */
const cacheBytesMax = 16 * 1024 * 1024;

type Tables = readonly (readonly SharedTable[])[];
type DamageListener = (error: CorruptionError) => void;

/** A look at the files of a tree that nobody has open: nothing is changed, collected or repaired. */
export class TreeInspection {
  readonly directory: string;
  readonly manifestPath: string;
  /** Of the last batch that is in tables. */
  readonly appliedIndex: LogIndex;
  readonly levels: readonly LevelSummary[];
  /** Files that no manifest names: what a crash left behind, or somebody else's. */
  readonly strayPaths: readonly string[];
  readonly #version: LsmVersion;
  readonly #tables: Tables;

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
    const manifestName = manifestFileName(pointer.number);
    const expected = new Set([manifestName, ...state.levels.flat().map(({ number }) => tableFileName(number))]);
    const names = await disk.list(directory);
    const stray = names.filter((name) => parseFileName(name).type !== 'current' && !expected.has(name));
    return new TreeInspection(directory, manifestName, state, tables, stray);
  }

  private constructor(
    directory: string,
    manifestName: string,
    state: { readonly appliedIndex: LogIndex; readonly levels: Levels },
    tables: Tables,
    stray: readonly string[],
  ) {
    this.directory = directory;
    this.manifestPath = `${directory}/${manifestName}`;
    this.appliedIndex = state.appliedIndex;
    this.levels = summarizeLevels(state.levels);
    this.strayPaths = stray.map((name) => `${directory}/${name}`);
    this.#tables = tables;
    this.#version = versionOf(tables);
  }

  /** Reads every byte of every table, as Tree.verify does, and goes on after damage: the first of each table. */
  async verify(): Promise<CorruptionError[]> {
    const found: CorruptionError[] = [];
    for (const { reader } of this.#version.tables()) {
      try {
        await verifySstable(reader);
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        found.push(error);
      }
      await reader.close();
    }
    return found;
  }

  /**
   * All entries that the tables have within the bounds, hidden ones too, as Tree.openVersionIterator.
   * @param onDamage learns of a damaged table, whose other entries are left out from there on
   */
  async *entries({ lower, upper }: KeyBounds, onDamage: DamageListener): AsyncGenerator<Entry, void> {
    let tables = this.#tables;
    let last: Entry | undefined;
    for (;;) {
      const sources = versionOf(tables).iterators({ lower: last?.key ?? lower, upper }, false);
      const iterator = new VersionIterator(new MergingIterator(sources, false), () => undefined);
      try {
        for (let entry = await iterator.next(); entry !== undefined; entry = await iterator.next()) {
          if (last !== undefined && compareEntries(entry.key, entry.version, last.key, last.version) <= 0) continue;
          last = entry;
          yield entry;
        }
        return;
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        const { file } = error;
        onDamage(error);
        tables = tables.map((level) => level.filter(({ reader }) => reader.path !== file));
      } finally {
        iterator.close();
      }
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
  }
}

function versionOf(tables: Tables): LsmVersion {
  const levels = tables.map((level) => level.map(({ reader }) => reader.metadata));
  return new LsmVersion(levels, tables, () => undefined);
}
