/**
 * The tree of a shard, which another may take the place of: as engine of the state machine, and for whoever looks after it.
 * All that the engine does is in Tree.
 *
 * While one tree takes the place of another nobody may write, read or open an iterator: the state machine sees to that.
 */
import { assert } from '../../base/assert.js';
import type { LogIndex, Timestamp } from '../../base/ids.js';
import type { MaybePromise } from '../../base/promises.js';
import { TreeClosedError } from '../../lsm/background-errors.js';
import type { TreeBatch } from '../../lsm/tree-batch.js';
import type { Tree } from '../../lsm/tree.js';
import type { Engine, EngineEntry, EngineIterator, EngineRange } from '../../mvcc/engine.js';
import type { ReplicaTree } from '../../shard/replica-host.js';

export class ShardTree implements Engine, ReplicaTree {
  #tree: Tree;
  readonly #openNext: (folder: string) => Promise<Tree>;
  /** One tree takes the place of another. */
  #replacing: Promise<void> | undefined;
  readonly #durableCallbacks: ((appliedIndex: LogIndex) => void)[] = [];
  readonly #failureCallbacks: ((error: Error) => void)[] = [];
  #closed = false;

  /** @param openNext puts the tree in that folder where this one was, which is closed, and opens it */
  constructor(tree: Tree, openNext: (folder: string) => Promise<Tree>) {
    this.#openNext = openNext;
    this.#tree = tree;
    this.#listen();
  }

  #listen(): void {
    this.#tree.onDurable((appliedIndex) => {
      for (const callback of this.#durableCallbacks) callback(appliedIndex);
    });
    this.#tree.onFailure((error) => {
      for (const callback of this.#failureCallbacks) callback(error);
    });
  }

  get appliedIndex(): LogIndex {
    return this.#tree.appliedIndex;
  }

  get durableAppliedIndex(): LogIndex {
    return this.#tree.durableAppliedIndex;
  }

  get outOfSpace(): boolean {
    return this.#tree.outOfSpace;
  }

  onDurable(callback: (appliedIndex: LogIndex) => void): void {
    this.#durableCallbacks.push(callback);
  }

  onFailure(callback: (error: Error) => void): void {
    this.#failureCallbacks.push(callback);
    if (this.#tree.failure !== undefined) callback(this.#tree.failure);
  }

  stats(): ReturnType<Tree['stats']> {
    return this.#tree.stats();
  }

  write(batch: TreeBatch, appliedIndex: LogIndex): void {
    this.#tree.write(batch, appliedIndex);
  }

  writeStall(): Promise<void> | undefined {
    return this.#tree.writeStall();
  }

  setSafePoint(version: Timestamp): void {
    this.#tree.setSafePoint(version);
  }

  get(key: Uint8Array, at: Timestamp): MaybePromise<EngineEntry | undefined> {
    return this.#tree.get(key, at);
  }

  openIterator(range: EngineRange): EngineIterator {
    return this.#tree.openIterator(range);
  }

  /** Nothing is left to flush, and nothing is wrong, where the tree is closed meanwhile: the shard goes, or another takes its place. */
  async flush(): Promise<void> {
    await this.#replacing;
    try {
      await this.#tree.flush();
    } catch (error) {
      if (!(error instanceof TreeClosedError)) throw error;
    }
  }

  /** See `Tree.checkpoint`. */
  async checkpoint(directory: string): Promise<LogIndex> {
    await this.#replacing;
    return await this.#tree.checkpoint(directory);
  }

  /**
   * Has the tree in `folder`, which nobody has open, take the place of this one. Resolves to its applied index. When it
   * rejects there may be no tree: the node must stop.
   */
  async replaceBy(folder: string): Promise<LogIndex> {
    assert(this.#replacing === undefined, 'the tree is replaced already');
    this.#replacing = this.#replaceBy(folder);
    try {
      await this.#replacing;
    } finally {
      this.#replacing = undefined;
    }
    return this.appliedIndex;
  }

  async #replaceBy(folder: string): Promise<void> {
    await this.#tree.close();
    if (this.#closed) return;
    this.#tree = await this.#openNext(folder);
    this.#listen();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#replacing?.catch(() => undefined);
    await this.#tree.close();
  }
}
