/** The block cache against an LRU of the same bytes: hit rates under scans, and what a hit costs. */
import { Prng } from '../../src/base/prng.js';
import { BlockCache, type BlockCachePartition } from '../../src/lsm/block-cache.js';
import type { Row } from '../measure.js';
import { zipfian } from '../zipfian.js';
import { cpuMicrosPerCall } from './cpu-time.js';

const blockBytes = 8192;
const blockCount = 20_000;

type GetsAndKeeps = Pick<BlockCachePartition, 'get' | 'wants' | 'insert'>;

/** The least recently used go first: a Map keeps the order. */
class LruCache implements GetsAndKeeps {
  readonly #blocks = new Map<number, Uint8Array>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(offset: number): Uint8Array | undefined {
    const block = this.#blocks.get(offset);
    if (block === undefined) return undefined;
    this.#blocks.delete(offset);
    this.#blocks.set(offset, block);
    return block;
  }

  wants(): boolean {
    return true;
  }

  insert(offset: number, block: Uint8Array): void {
    this.#blocks.set(offset, block);
    this.#bytes += block.length + 400;
    for (const [oldest, { length }] of this.#blocks) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#blocks.delete(oldest);
      this.#bytes -= length + 400;
    }
  }
}

/** Spread over the file. */
function zipf(random: Prng): () => number {
  const draw = zipfian(blockCount, random);
  return () => (draw() * 7919) % blockCount;
}

const patterns: Readonly<Record<string, (random: Prng) => () => number>> = {
  'zipfian gets': (random) => {
    return zipf(random);
  },
  'zipfian gets, a quarter of the reads are one long scan after the other': (random) => {
    const draw = zipf(random);
    let at = 0;
    return () => (random.chance(0.25) ? at++ % blockCount : draw());
  },
  'zipfian gets and scans of 50 blocks': (random) => {
    const draw = zipf(random);
    let [at, left] = [0, 0];
    return () => {
      if (left > 0) left--;
      else if (random.chance(0.01)) [at, left] = [random.int(0, blockCount - 1), 50];
      else return draw();
      return at++ % blockCount;
    };
  },
  'uniform gets': (random) => () => random.int(0, blockCount - 1),
};

function hitRate(cache: GetsAndKeeps, next: () => number, reads: number): number {
  let hits = 0;
  for (let n = 0; n < 2 * reads; n++) {
    const offset = next();
    if (cache.get(offset) !== undefined) hits += n < reads ? 0 : 1;
    else if (cache.wants(offset, blockBytes)) cache.insert(offset, new Uint8Array(blockBytes));
  }
  return Math.round((1000 * hits) / reads) / 10;
}

export function blockCache({ quick, progress }: { quick: boolean; progress: (text: string) => void }): Promise<Row[]> {
  const reads = quick ? 100_000 : 500_000;
  const rows: Row[] = [];
  for (const [name, pattern] of Object.entries(patterns)) {
    for (const percent of [5, 25]) {
      progress(`${name}, ${percent} %`);
      const bytesMax = (blockCount * blockBytes * percent) / 100;
      const ours = hitRate(new BlockCache(bytesMax).partition(), pattern(new Prng(1)), reads);
      const theirs = hitRate(new LruCache(bytesMax), pattern(new Prng(1)), reads);
      const ratio = Math.round((100 * ours) / theirs) / 100;
      rows.push({ name: `${name}, cache of ${percent} %`, unit: '% hits', ours, rival: 'LRU', theirs, ratio });
    }
  }
  const calls = 20 * reads;
  const [cache, lru] = [new BlockCache(1 << 30).partition(), new LruCache(1 << 30)];
  for (let offset = 0; offset < 10_000; offset++) {
    cache.insert(offset, new Uint8Array(64));
    lru.insert(offset, new Uint8Array(64));
  }
  const nanos = (get: (offset: number) => unknown): number =>
    Math.round(1e3 * cpuMicrosPerCall(calls, (n) => get((n * 7919) % 10_000)));
  const [ours, theirs] = [nanos((offset) => cache.get(offset)), nanos((offset) => lru.get(offset))];
  rows.push({ name: 'a hit', unit: 'ns', ours, rival: 'LRU', theirs, ratio: Math.round((100 * theirs) / ours) / 100 });
  return Promise.resolve(rows);
}
