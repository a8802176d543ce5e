/**
 * Values in files beside the tree, collected by its merges: a merge that meets a pointer into one of the emptiest files
 * writes the value to a new one. The levels and their merges are those of the tree, chosen by its own picker; keys are
 * numbers, and of a value only the file is known. Where merges leave too much space taken, the table with the most
 * pointers for its size into those files is merged by itself (`isForced`).
 *
 * A tree of a sixteenth of the default sizes, in which 160 000 values have two levels of pointers: the shape of 10 GiB in
 * values of 4 KiB at full size.
 */
import { Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { lastLevel } from '../../src/lsm/compaction/level-targets.js';
import { noneSkipped, pickCompaction } from '../../src/lsm/compaction/picker.js';
import type { TableMetadata } from '../../src/lsm/sstable/sstable-format.js';
import { applyEdit, emptyLevels, type Levels } from '../../src/lsm/version/levels.js';
import { zipfian } from '../zipfian.js';

const liveValues = 160_000;
const flushedValues = 256;
const pointerEntryBytes = 40;
const valueFileValuesMax = 4096;
const tableBytesTargets = { above: 128 * 1024, last: 512 * 1024 };
const picker = { level0TablesCompact: 4, levelBytesBase: 2 * 1024 * 1024, levelBytesMultiplier: 10 };
/** Files are emptied together that would free so many times what is too much: one pass over the tables for all of them. */
const freedTogether = 16;
/** Writes of each value, on average, until the state is steady, and then while it is measured. */
const rounds = 2;

export interface MergeCollectionOptions {
  /** Bytes of file for a live one, from which on values are collected. */
  readonly spaceAmplification: number;
  readonly skew: 'uniform' | 'zipfian';
  /** Whether tables are merged for the sake of values alone. */
  readonly isForced: boolean;
}

export interface MergeCollection {
  /** The mean of what was measured after each flush. */
  readonly spaceAmplification: number;
  /** Values that were written again for one that was written. */
  readonly rewritten: number;
  /** Bytes of tables for a value that was written, by flushes and merges. */
  readonly pointerBytes: number;
}

/** Entries of a table: keys in order, and the file of each one's value. */
interface Pointers {
  readonly keys: Int32Array;
  readonly files: Int32Array;
  /** How many there are into each file. */
  readonly ofFile: ReadonlyMap<number, number>;
}

interface ValueFile {
  values: number;
  /** Values that a table points to. */
  named: number;
}

class PointerTree {
  readonly #options: MergeCollectionOptions;
  readonly #tables = new Map<number, Pointers>();
  readonly #files = new Map<number, ValueFile>();
  /** File of the newest value of each key, in the merge that is under way. */
  readonly #newest = new Int32Array(liveValues);
  #levels: Levels = emptyLevels;
  #nextNumber = 1;
  values = 0;
  #named = 0;
  rewritten = 0;
  pointerBytes = 0;

  constructor(options: MergeCollectionOptions) {
    this.#options = options;
  }

  flush(written: ReadonlySet<number>): void {
    const keys = Int32Array.from(written).sort();
    const file = this.#newFile();
    for (let n = 0; n < keys.length; n++) this.#addValue(file);
    this.#edit([], 0, [this.#newTable(keys, new Int32Array(keys.length).fill(file))]);
    this.#compact();
  }

  #compact(): void {
    for (;;) {
      const decision = pickCompaction(this.#levels, picker, noneSkipped);
      if (decision.type === 'nothing') break;
      if (decision.type === 'move') this.#edit(decision.tables, decision.outputLevel, decision.tables);
      else this.#merge([...decision.upper, ...decision.lower], decision.outputLevel);
    }
    for (let files = this.#victims(); this.#options.isForced && files.size > 0; files = this.#victims()) {
      const fullest = this.#fullest(files);
      if (fullest === undefined) return;
      this.#merge([fullest.table], fullest.level);
    }
  }

  /** The emptiest files, until enough of them; none while there is space. */
  #victims(): ReadonlySet<number> {
    const victims = new Set<number>();
    let missing = this.values - this.#options.spaceAmplification * Math.min(liveValues, this.#named);
    if (missing <= 0) return victims;
    missing *= freedTogether;
    const share = ({ named, values }: ValueFile): number => named / values;
    for (const [number, file] of [...this.#files].sort(([, a], [, b]) => share(a) - share(b))) {
      if (missing <= 0 || share(file) > 0.85) break;
      victims.add(number);
      missing -= file.values - file.named;
    }
    return victims;
  }

  #fullest(files: ReadonlySet<number>): { readonly level: number; readonly table: TableMetadata } | undefined {
    let fullest: { level: number; table: TableMetadata } | undefined;
    let highest = 0;
    for (let level = 1; level < this.#levels.length; level++) {
      for (const table of this.#levels[level]) {
        let count = 0;
        for (const file of files) count += this.#pointers(table).ofFile.get(file) ?? 0;
        if (count / table.entries <= highest) continue;
        highest = count / table.entries;
        fullest = { level, table };
      }
    }
    return fullest;
  }

  /** @param inputs newest first */
  #merge(inputs: readonly TableMetadata[], outputLevel: number): void {
    const victims = this.#victims();
    const runs = inputs.map((table) => this.#pointers(table));
    const all = Int32Array.from(runs.flatMap(({ keys }) => [...keys])).sort();
    const keys = all.filter((key, n) => n === 0 || key !== all[n - 1]);
    for (const key of keys) this.#newest[key] = 0;
    for (const run of runs) {
      run.keys.forEach((key, n) => {
        if (this.#newest[key] === 0) this.#newest[key] = run.files[n];
        else this.#dropValue(run.files[n]);
      });
    }
    let target = 0;
    const files = keys.map((key) => {
      const file = this.#newest[key];
      if (!victims.has(file)) return file;
      if (target === 0 || this.#file(target).values === valueFileValuesMax) target = this.#newFile();
      this.#addValue(target);
      this.#dropValue(file);
      this.rewritten++;
      return target;
    });
    const bytes = outputLevel === lastLevel ? tableBytesTargets.last : tableBytesTargets.above;
    const step = Math.floor(bytes / pointerEntryBytes);
    const added: TableMetadata[] = [];
    for (let from = 0; from < keys.length; from += step) {
      added.push(this.#newTable(keys.slice(from, from + step), files.slice(from, from + step)));
    }
    this.#edit(inputs, outputLevel, added);
    const left = new Set(this.#levels.flat().map(({ number }) => number));
    for (const { number } of inputs) if (!left.has(number)) this.#tables.delete(number);
  }

  #edit(removed: readonly TableMetadata[], level: number, added: readonly TableMetadata[]): void {
    const levelOf = (number: number): number =>
      this.#levels.findIndex((tables) => tables.some((table) => table.number === number));
    this.#levels = applyEdit(this.#levels, {
      removed: removed.map(({ number }) => ({ level: levelOf(number), number })),
      added: added.map((table) => ({ level, table })),
    });
  }

  #newTable(keys: Int32Array, files: Int32Array): TableMetadata {
    const ofFile = new Map<number, number>();
    for (const file of files) ofFile.set(file, (ofFile.get(file) ?? 0) + 1);
    const number = this.#nextNumber++;
    this.#tables.set(number, { keys, files, ofFile });
    const bytes = keys.length * pointerEntryBytes;
    this.pointerBytes += bytes;
    return { ...tableOf(keys[0], keys[keys.length - 1] + 1), number, bytes, entries: keys.length, keys: keys.length };
  }

  #pointers({ number }: TableMetadata): Pointers {
    const pointers = this.#tables.get(number);
    if (pointers === undefined) throw new Error('a table is lost');
    return pointers;
  }

  #newFile(): number {
    this.#files.set(this.#nextNumber, { values: 0, named: 0 });
    return this.#nextNumber++;
  }

  #file(number: number): ValueFile {
    const file = this.#files.get(number);
    if (file === undefined) throw new Error('a file is lost');
    return file;
  }

  #addValue(number: number): void {
    const file = this.#file(number);
    file.values++;
    file.named++;
    this.values++;
    this.#named++;
  }

  #dropValue(number: number): void {
    const file = this.#file(number);
    file.named--;
    this.#named--;
    if (file.named > 0) return;
    this.values -= file.values;
    this.#files.delete(number);
  }
}

/** All of a table that does not matter here, and its range. */
function tableOf(first: number, end: number): TableMetadata {
  const version = Timestamp(1);
  const range = { smallestKey: keyOf(first), endKey: keyOf(end) };
  const counts = { entries: 0, keys: 0, tombstones: 0, rangeTombstones: 0, rawBytes: 0, dataBytes: 0, storedBytes: 0 };
  const versions = { smallestVersion: version, largestVersion: version, largestEntryVersion: version };
  return { ...counts, ...range, ...versions, valueFiles: [], number: 0, bytes: 0, fingerprint: 0, trimmed: false };
}

function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, number);
  return key;
}

export function collectByMerges(options: MergeCollectionOptions): MergeCollection {
  const random = new Prng(1);
  const zipf = zipfian(liveValues, random);
  // 7919 has no divisor in common with the number of values: the often written ones are spread.
  const spread = (n: number): number => (n * 7919) % liveValues;
  const draw = options.skew === 'uniform' ? () => random.int(0, liveValues - 1) : () => spread(zipf());
  const tree = new PointerTree(options);
  let written = new Set<number>();
  let [flushes, space] = [0, 0];
  const write = (key: number): void => {
    written.add(key);
    if (written.size < flushedValues) return;
    tree.flush(written);
    written = new Set();
    flushes++;
    space += tree.values / liveValues;
  };
  for (let n = 0; n < liveValues; n++) write(spread(n));
  for (let n = 0; n < rounds * liveValues; n++) write(draw());
  [tree.rewritten, tree.pointerBytes, flushes, space] = [0, 0, 0, 0];
  for (let n = 0; n < rounds * liveValues; n++) write(draw());
  const values = flushes * flushedValues;
  return {
    spaceAmplification: space / flushes,
    rewritten: tree.rewritten / values,
    pointerBytes: tree.pointerBytes / values,
  };
}
