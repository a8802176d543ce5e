import { LogIndex, Timestamp, timestampMax } from '../src/base/ids.js';
import type { MaybePromise } from '../src/base/promises.js';
import { silentLogger } from '../src/env/logger.js';
import { BlockCache } from '../src/lsm/block-cache.js';
import type { Found } from '../src/lsm/entry.js';
import { MemtableBudget } from '../src/lsm/memtable/memtable-budget.js';
import { RowCache } from '../src/lsm/row-cache.js';
import { OpenFiles } from '../src/lsm/sstable/open-files.js';
import { TreeBatch } from '../src/lsm/tree-batch.js';
import { Tree, type TreeResources } from '../src/lsm/tree.js';
import { SystemClock } from '../src/platform/clock.js';
import { NodeDisk } from '../src/platform/disk.js';
import { WorkerPool } from '../src/platform/worker-pool.js';
import { memtableBytes, type Store, type StoreOptions, type StoreType, type StoreWrite } from './engine-store.js';

const mib = 1024 * 1024;

/** The tree by itself: no Raft, and no log, which is not the engine's. */
export const quorateStore: StoreType = {
  name: 'quorate',
  async open({ directory, cacheBytes, largeValueBytesMin = Number.MAX_SAFE_INTEGER }: StoreOptions): Promise<Store> {
    const disk = new NodeDisk();
    const entry = new URL('../src/node/background-worker.js', import.meta.url);
    const background = new WorkerPool({ entry, size: 1 });
    const resources: TreeResources = {
      disk,
      background,
      blockCache: new BlockCache(cacheBytes),
      openFiles: new OpenFiles(1000),
      rowCache: new RowCache(cacheBytes / 4),
      memtableBudget: new MemtableBudget({ bytesMax: 2 * memtableBytes, writeBytesMax: 16 * mib }),
      logger: silentLogger,
      clock: new SystemClock(),
    };
    const exists = await Tree.exists(directory, disk);
    const shape = { largeValueBytesMin, memtableBytesMax: memtableBytes };
    const tree = exists ? await Tree.open(directory, resources, shape) : await Tree.create(directory, resources, shape);
    return new QuorateStore(tree, background);
  },
};

class QuorateStore implements Store {
  readonly #tree: Tree;
  readonly #background: WorkerPool;
  #version = 0;

  constructor(tree: Tree, background: WorkerPool) {
    this.#tree = tree;
    this.#background = background;
    this.#version = tree.appliedIndex;
  }

  write(writes: readonly StoreWrite[]): MaybePromise<void> {
    const stall = this.#tree.writeStall();
    if (stall !== undefined) return stall.then(() => this.write(writes));
    this.#version++;
    const batch = new TreeBatch();
    for (const { key, value } of writes) {
      if (value === undefined) batch.delete(key, Timestamp(this.#version));
      else batch.put(key, Timestamp(this.#version), value);
    }
    this.#tree.write(batch, LogIndex(this.#version));
    // As the state machine does: nobody reads what was replaced.
    this.#tree.setSafePoint(Timestamp(this.#version - 1));
  }

  flush(): Promise<void> {
    return this.#tree.flush();
  }

  async settle(): Promise<void> {
    await this.flush();
    for (let quiet = 0, before = -1; quiet < 3;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { compactions } = this.#tree.metrics();
      const now = compactions.count + compactions.movedTables;
      quiet = compactions.backlogBytes === 0 && now === before ? quiet + 1 : 0;
      before = now;
    }
  }

  get(key: Uint8Array): MaybePromise<Uint8Array | undefined> {
    const found = this.#tree.get(key, timestampMax);
    return found instanceof Promise ? found.then(valueOf) : valueOf(found);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    return (await this.#tree.getMany(keys, timestampMax)).map(valueOf);
  }

  async scan(reverse: boolean): Promise<number> {
    const iterator = this.#tree.openIterator({ lower: new Uint8Array(0), upper: undefined, at: timestampMax, reverse });
    let count = 0;
    for (;;) {
      const next = iterator.next();
      const record = next instanceof Promise ? await next : next;
      if (record === undefined) break;
      count++;
    }
    iterator.close();
    return count;
  }

  async seek(key: Uint8Array): Promise<Uint8Array | undefined> {
    const iterator = this.#tree.openIterator({ lower: key, upper: undefined, at: timestampMax, reverse: false });
    const record = await iterator.next();
    iterator.close();
    return record?.key;
  }

  async close(): Promise<void> {
    await this.#tree.close();
    await this.#background[Symbol.asyncDispose]();
  }
}

/** A deleted key is found as long as its tombstone is there. */
function valueOf(found: Found | undefined): Uint8Array | undefined {
  return found?.kind === 'put' ? found.value : undefined;
}
