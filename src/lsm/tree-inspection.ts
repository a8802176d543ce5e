import { CorruptionError } from '../base/errors.js';
import type { LogIndex } from '../base/ids.js';
import type { Disk } from '../env/disk.js';
import type { KeyBounds } from './iterator/entry-iterator.js';
import { MergingIterator } from './iterator/merging-iterator.js';
import { VersionIterator } from './iterator/tree-iterator.js';
import { clipFragments, mergeAllFragments, type RangeFragments } from './range/range-tombstones.js';
import { SstableReader } from './sstable/sstable-reader.js';
import { jobResources } from './sstable/sstable-resources.js';
import { verifySstable } from './sstable/verify-sstable.js';
import { manifestFileName, parseFileName, tableFileName } from './version/file-names.js';
import { summarizeLevels, type LevelSummary } from './version/level-summary.js';
import type { Levels } from './version/levels.js';
import { LsmVersion } from './version/lsm-version.js';
import { readManifest } from './version/manifest-reader.js';

/** Blocks that a walk over the entries may meet again: those of indexes. */
const cacheBytesMax = 16 * 1024 * 1024;

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
    return new TreeInspection(
      directory,
      manifestName,
      state,
      new LsmVersion(state.levels, tables, () => undefined),
      stray,
    );
  }

  private constructor(
    directory: string,
    manifestName: string,
    state: { readonly appliedIndex: LogIndex; readonly levels: Levels },
    version: LsmVersion,
    stray: readonly string[],
  ) {
    this.directory = directory;
    this.manifestPath = `${directory}/${manifestName}`;
    this.appliedIndex = state.appliedIndex;
    this.levels = summarizeLevels(state.levels);
    this.strayPaths = stray.map((name) => `${directory}/${name}`);
    this.#version = version;
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

  /** All entries that the tables have within the bounds, hidden ones too, as Tree.openVersionIterator. Must be closed. */
  entries(bounds: KeyBounds): VersionIterator {
    return new VersionIterator(new MergingIterator(this.#version.iterators(bounds, false), false), () => undefined);
  }

  /** The range tombstones that the tables have within the bounds, as one list for all of them. */
  async rangeTombstones(bounds: KeyBounds): Promise<RangeFragments> {
    const lists: RangeFragments[] = [];
    for (const reader of this.#version.rangeSources(bounds)) {
      lists.push(clipFragments(await reader.rangeTombstones(), bounds));
    }
    return mergeAllFragments(lists);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { reader } of this.#version.tables()) await reader.close();
  }
}
