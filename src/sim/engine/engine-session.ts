/**
 * One tree and the model of it: carries out operations on both and compares, also over crashes and restarts. The owner
 * of a tree writes again what a crash took, as a log does.
 */
import { defined } from '../../base/assert.js';
import { LogIndex, Timestamp } from '../../base/ids.js';
import { IngestError } from '../../lsm/ingest.js';
import type { TreeOptions } from '../../lsm/tree-options.js';
import { Tree, type TreeResources } from '../../lsm/tree.js';
import { Disagreement, requireEqual, requireThat } from './disagreement.js';
import { EngineModel, type ModelBounds, type ModelEntry, type ModelRecord } from './engine-model.js';
import type { DrawnBounds, DrawnEntry, DrawnIngestion, DrawnScan, EngineOperation } from './engine-operation.js';
import { writeForeignTable, writeForeignTree, type ForeignFiles } from './foreign-files.js';
import { bytesOf, compareWhole, OpenReads, recordOf } from './open-reads.js';
import { parentOf, pause, removeTree, waitForRoom, writeTo } from './tree-steps.js';

export interface EngineSessionOptions {
  /** What operations mean by their numbers of keys. */
  readonly keys: readonly string[];
  readonly directory: string;
  /** Gives the next tree its shape. */
  readonly treeOptions: () => TreeOptions;
  /** Whether an operation may end with that error: the disk was made to fail. */
  readonly mayFailSo: (error: unknown) => boolean;
}

/** Folders beside the tree's. */
const checkpointPrefix = 'checkpoint-';

export class EngineSession {
  readonly #options: EngineSessionOptions;
  #model = new EngineModel();
  #tree: Tree | undefined;
  #resources: TreeResources | undefined;
  #reads = new OpenReads();
  #safePoint = 0;
  /** The tree has said that it is there, and that so much is durable. */
  #wasCreated = false;
  #durableIndex = 0;
  /** Values that were written, so that each is another. */
  #valueCount = 0;
  #sideFiles = 0;

  constructor(options: EngineSessionOptions) {
    this.#options = options;
  }

  get tree(): Tree {
    return defined(this.#tree, 'the tree');
  }

  /** Opens the tree after a start, compares it with what must have survived, and writes the rest again. */
  async open(resources: TreeResources): Promise<void> {
    const { directory, treeOptions } = this.#options;
    const { disk } = resources;
    this.#resources = resources;
    this.#reads = new OpenReads();
    const exists = await Tree.exists(directory, disk);
    requireThat(exists || !this.#wasCreated, 'the tree is gone');
    const tree = exists
      ? await Tree.open(directory, resources, treeOptions())
      : await Tree.create(directory, resources, treeOptions());
    this.#tree = tree;
    this.#wasCreated = true;
    const { appliedIndex: opened } = tree;
    if (opened < this.#durableIndex) {
      throw new Disagreement(`the tree has ${opened}, though ${this.#durableIndex} was durable`);
    }
    requireThat(opened <= this.#model.appliedIndex, `the tree has batch ${opened}, which was never written`);
    this.#durableIndex = Math.max(this.#durableIndex, tree.durableAppliedIndex);
    tree.onDurable((index) => (this.#durableIndex = Math.max(this.#durableIndex, index)));
    for (const at of new Set([this.#model.newestVersion, this.#safePoint])) {
      await compareWhole(tree, this.#model, at, opened);
    }
    await this.#examineCheckpoints(resources);
    for (let index = opened + 1; index <= this.#model.appliedIndex; index++) {
      await waitForRoom(tree);
      writeTo(tree, this.#model.batch(index), index);
    }
    tree.setSafePoint(Timestamp(this.#safePoint));
  }

  /** @returns what the operation has shown: the same for every tree that was asked the same. */
  async perform(operation: EngineOperation): Promise<string> {
    switch (operation.type) {
      case 'write':
        return this.#write(this.#entries(operation.entries));
      case 'get':
        return this.#get(operation.keys, operation.age);
      case 'scan': {
        const { iterator, expected } = this.#iterator(operation);
        return this.#reads.readAll(iterator, expected);
      }
      case 'openIterator': {
        const { iterator, expected } = this.#iterator(operation);
        return this.#reads.keep(iterator, expected);
      }
      case 'advance':
        return this.#reads.advance(operation.records);
      case 'flush':
        await this.tree.flush();
        requireThat(
          this.tree.durableAppliedIndex === this.#model.appliedIndex,
          'a flush is over, and not all is durable',
        );
        return 'flushed';
      case 'raiseSafePoint':
        return this.#raiseSafePoint(operation.part);
      case 'verify':
        await this.tree.verify();
        return 'verified';
      case 'checkpoint':
        return this.#checkpoint(operation, operation.entries);
      case 'ingest':
        return this.#ingest(operation);
      case 'pause':
        await pause(this.#opened(), operation.ms);
        return 'paused';
      case 'reopen':
        await this.close();
        await this.open(this.#opened());
        return 'reopened';
    }
  }

  #opened(): TreeResources {
    return defined(this.#resources, 'the resources of the tree');
  }

  /** Ends reads and the tree. */
  async close(): Promise<void> {
    await this.#reads.finish();
    await this.tree.close();
  }

  /** The whole tree, its files too, when nothing is under way any more. */
  async examine(): Promise<void> {
    const { directory } = this.#options;
    const { disk } = this.#opened();
    await this.tree.flush();
    await this.tree.verify();
    await compareWhole(this.tree, this.#model, this.#model.newestVersion, this.#model.appliedIndex);
    await pause(this.#opened(), 1000);
    await this.close();
    const { levels, valueFiles } = this.tree.stats();
    const tables = levels.reduce((sum, level) => sum + level.tables, 0);
    const names = await disk.list(directory);
    requireEqual(
      `files of a tree of ${tables} tables and ${valueFiles} value files: ${names.join(' ')}`,
      names.length,
      tables + valueFiles + 2,
    );
  }

  /** Asks for all that there is; rejects with a Disagreement on a wrong answer, with what a read says otherwise. */
  async compare(tree: Tree): Promise<void> {
    await compareWhole(tree, this.#model, this.#model.newestVersion, tree.durableAppliedIndex);
    for (const key of this.#options.keys) {
      const found = await tree.get(bytesOf(key), Timestamp(this.#model.newestVersion));
      const expected = this.#model.get(key, this.#model.newestVersion, tree.durableAppliedIndex);
      requireEqual(`get of ${JSON.stringify(key)}`, recordOf(key, found), expected);
    }
  }

  #key(drawn: number): string {
    const { keys } = this.#options;
    // The few that are beyond are keys that nobody writes.
    return drawn < 70 ? keys[drawn % keys.length] : `${keys[drawn % keys.length]}\u0000`;
  }

  #bounds({ from, to }: DrawnBounds): ModelBounds {
    const lower = from === undefined ? '' : this.#key(from);
    const upper = to === undefined ? undefined : this.#key(to);
    return upper !== undefined && upper < lower ? { lower: upper, upper: lower } : { lower, upper };
  }

  #at(age: number): number {
    return Math.max(this.#safePoint, this.#model.newestVersion - age);
  }

  #entries(drawn: readonly DrawnEntry[], versionMin = this.#safePoint + 1): ModelEntry[] {
    const { keys } = this.#options;
    let newest = this.#model.newestVersion;
    return drawn.map(({ key, versionStep, kind, valueBytes, to }) => {
      const version = Math.max(versionMin, newest + versionStep);
      newest = Math.max(newest, version);
      if (kind === 'deleteRange') {
        const { lower, upper } = this.#bounds({ from: key, to });
        return { key: lower, version, kind, value: upper === undefined || upper === lower ? `${lower}\u0000` : upper };
      }
      const value = kind === 'put' ? `v${++this.#valueCount} `.padEnd(valueBytes, 'quorate ') : '';
      return { key: keys[key % keys.length], version, kind, value };
    });
  }

  async #write(entries: readonly ModelEntry[]): Promise<string> {
    await waitForRoom(this.tree);
    writeTo(this.tree, entries, this.#model.appliedIndex + 1);
    return `written as ${this.#model.add(entries)}`;
  }

  async #get(drawn: readonly number[], age: number): Promise<string> {
    const at = this.#at(age);
    const keys = drawn.map((key) => this.#key(key));
    const expected = keys.map((key) => this.#model.get(key, at));
    const bytes = keys.map(bytesOf);
    const found =
      keys.length === 1
        ? [await this.tree.get(bytes[0], Timestamp(at))]
        : await this.tree.getMany(bytes, Timestamp(at));
    const shown = keys.map((key, i) => recordOf(key, found[i]));
    requireEqual(`get of ${JSON.stringify(keys)} at ${at}`, shown, expected);
    return JSON.stringify(shown);
  }

  #iterator(drawn: DrawnScan): { iterator: ReturnType<Tree['openIterator']>; expected: ModelRecord[] } {
    const bounds = this.#bounds(drawn);
    const at = this.#at(drawn.age);
    const expected = this.#model.scan(bounds, at);
    const { lower, upper } = bounds;
    const iterator = this.tree.openIterator({
      lower: bytesOf(lower),
      upper: upper === undefined ? undefined : bytesOf(upper),
      at: Timestamp(at),
      reverse: drawn.reverse,
    });
    return { iterator, expected: drawn.reverse ? expected.reverse() : expected };
  }

  #raiseSafePoint(part: number): string {
    const { newestVersion } = this.#model;
    this.#safePoint += Math.floor(part * (newestVersion - this.#safePoint));
    this.tree.setSafePoint(Timestamp(this.#safePoint));
    return `safe point ${this.#safePoint}`;
  }

  async #checkpoint(drawn: DrawnBounds, entries: readonly DrawnEntry[]): Promise<string> {
    const resources = this.#opened();
    const directory = this.#sideFile(checkpointPrefix);
    const bounds = this.#bounds(drawn);
    const upper = bounds.upper === undefined ? undefined : bytesOf(bounds.upper);
    const wanted = this.#model.appliedIndex;
    const taken = await this.tree.checkpoint(directory, { lower: bytesOf(bounds.lower), upper });
    requireThat(taken >= wanted, `the checkpoint ends at ${taken}, before ${wanted}`);

    const model = this.#model.part(bounds, taken);
    const child = await Tree.open(directory, resources, this.#options.treeOptions());
    requireEqual('applied index of a checkpoint', child.appliedIndex, taken);
    await compareWhole(child, model, model.newestVersion, taken);
    const more = this.#entries(entries).filter(({ key, kind, value }) => {
      const end = kind === 'deleteRange' ? value : `${key}\u0000`;
      return key >= bounds.lower && (bounds.upper === undefined || end <= bounds.upper);
    });
    await waitForRoom(child);
    writeTo(child, more, model.add(more));
    child.setSafePoint(Timestamp(this.#safePoint));
    await child.flush();
    await pause(resources, 20);
    await compareWhole(child, model, model.newestVersion, model.appliedIndex);
    await child.verify();
    await child.close();
    await removeTree(resources.disk, directory);
    return `checkpoint at ${taken}`;
  }

  /** What crashes have left of checkpoints is whole trees, or none. */
  async #examineCheckpoints(resources: TreeResources): Promise<void> {
    const { disk } = resources;
    const parent = parentOf(this.#options.directory);
    for (const name of await disk.list(parent)) {
      if (!name.startsWith(checkpointPrefix)) continue;
      const directory = `${parent}/${name}`;
      if (await Tree.exists(directory, disk)) {
        const tree = await Tree.open(directory, resources, this.#options.treeOptions());
        await tree.verify();
        await tree.close();
      }
      await removeTree(disk, directory);
    }
  }

  async #ingest(drawn: DrawnIngestion): Promise<string> {
    const entries = this.#entries(drawn.entries, drawn.isOld ? 1 : this.#safePoint + 1);
    // As an entry of the log: it is there before the tree has it.
    const index = this.#model.appliedIndex + 1;
    const isTable = index % 2 === 1 && entries.some(({ kind }) => kind !== 'deleteRange');
    const files = await (isTable ? this.#foreignTable(entries) : this.#foreignTree(entries, drawn));
    const isTaken = await this.#tryIngest(files, index);
    await files.remove();
    return isTaken ? `ingested as ${index}` : 'refused';
  }

  #sideFile(prefix: string): string {
    return `${parentOf(this.#options.directory)}/${prefix}${++this.#sideFiles}`;
  }

  #foreignTable(entries: readonly ModelEntry[]): Promise<ForeignFiles> {
    const { blockBytes, bloomBitsPerKey } = this.#options.treeOptions();
    const tableOptions = { blockBytes, bloomBitsPerKey, compression: 'snappy' } as const;
    return writeForeignTable(this.#opened().disk, this.#sideFile('foreign-'), entries, tableOptions);
  }

  #foreignTree(entries: readonly ModelEntry[], drawn: DrawnIngestion): Promise<ForeignFiles> {
    const bounds = this.#bounds(drawn);
    const directories = { source: this.#sideFile(checkpointPrefix), checkpoint: this.#sideFile(checkpointPrefix) };
    const { flushes } = drawn;
    const options = this.#options.treeOptions();
    return writeForeignTree(this.#opened(), options, { directories, entries, flushes, bounds });
  }

  /** A tree that refuses files, and goes on, has nothing of them; and it refuses none but those that it must. */
  async #tryIngest({ path, entries }: ForeignFiles, index: number): Promise<boolean> {
    const isTooOld = entries.some(({ version }) => version <= this.#safePoint);
    const before = this.#model;
    const after = before.part({ lower: '', upper: undefined }, before.appliedIndex);
    after.add(entries);
    this.#model = after;
    try {
      await this.tree.ingest([path], LogIndex(index));
    } catch (error) {
      if (this.tree.failure !== undefined) throw error;
      this.#model = before;
      if ((error instanceof IngestError && isTooOld) || this.#options.mayFailSo(error)) return false;
      throw error;
    }
    requireThat(!isTooOld, `versions at or below the safe point ${this.#safePoint} were ingested`);
    return true;
  }
}
