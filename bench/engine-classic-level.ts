import { ClassicLevel } from 'classic-level';

import { memtableBytes, type Store, type StoreOptions, type StoreType, type StoreWrite } from './engine-store.js';

const scanBatch = 1000;

/** LevelDB by its binding for Node, with the options of the defaults but for the sizes that ours has, too. */
export const classicLevelStore: StoreType = {
  name: 'classic-level',
  async open({ directory, cacheBytes }: StoreOptions): Promise<Store> {
    const db = new ClassicLevel<Uint8Array, Uint8Array>(directory, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      cacheSize: cacheBytes,
      writeBufferSize: memtableBytes,
    });
    await db.open();
    return new ClassicLevelStore(db);
  },
};

class ClassicLevelStore implements Store {
  readonly #db: ClassicLevel<Uint8Array, Uint8Array>;

  constructor(db: ClassicLevel<Uint8Array, Uint8Array>) {
    this.#db = db;
  }

  write(writes: readonly StoreWrite[]): Promise<void> {
    const batch = this.#db.batch();
    for (const { key, value } of writes) {
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
    }
    return batch.write();
  }

  /** Everything before a synced write is on disk when that is. */
  flush(): Promise<void> {
    return this.#db.batch([{ type: 'put', key: new Uint8Array(1), value: new Uint8Array(0) }], { sync: true });
  }

  async settle(): Promise<void> {
    await this.flush();
    for (let quiet = 0, before = ''; quiet < 3;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const now = this.#db.getProperty('leveldb.sstables');
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#db.getSync(key);
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#db.getMany([...keys]);
  }

  async scan(reverse: boolean): Promise<number> {
    const iterator = this.#db.iterator({ reverse, highWaterMarkBytes: 1024 * 1024 });
    let count = 0;
    for (;;) {
      const entries = await iterator.nextv(scanBatch);
      if (entries.length === 0) break;
      count += entries.length;
    }
    await iterator.close();
    return count;
  }

  async seek(key: Uint8Array): Promise<Uint8Array | undefined> {
    const iterator = this.#db.iterator({ gte: key, limit: 1 });
    const entry = await iterator.next();
    await iterator.close();
    return entry?.[0];
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}
