/**
 * Structures for the memtable: the B+-tree of references that it is, a skip list over the same arena, and `sorted-btree`
 * of objects. Insert, get, scan, and how long the garbage collector stops the thread for: the longest pause while keys
 * come in, all pauses together, and a full collection when they are all there. The keys to insert lie in one array, so that
 * the collector has no objects to look at but those of the structure.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import BTreeModule from 'sorted-btree';

import { compareBytes, utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { Memtable } from '../../src/lsm/memtable/memtable.js';
import { MemtableIterator } from '../../src/lsm/memtable/memtable-iterator.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { Row } from '../measure.js';
import { SkipList } from './skip-list.js';

// The package is CommonJS: its class is the default of its default.
const { default: BTree } = BTreeModule as unknown as { default: typeof BTreeModule.default };

interface Structure {
  readonly name: string;
  make(): { insert(key: Uint8Array, n: number): void; get(key: Uint8Array): boolean; scan(): number };
}

setFlagsFromString('--expose-gc');
const collectAll = runInNewContext('gc') as () => void;

const keyBytes = 16;
const fullCollections = 5;
const value = new Uint8Array(256).fill(7);

/** Those that leave the collector the least to do come first. */
const structures: readonly Structure[] = [
  {
    name: 'B+-tree of references',
    make: () => {
      const memtable = new Memtable(LogIndex(0));
      return {
        insert: (key, n) => memtable.write(new TreeBatch().put(key, Timestamp(n), value), LogIndex(n)),
        get: (key) => memtable.get(key, timestampMax) !== undefined,
        scan: () => {
          let bytes = 0;
          const iterator = new MemtableIterator(memtable, { lower: new Uint8Array(0), upper: undefined }, false);
          for (iterator.start(); iterator.valid; iterator.advance())
            bytes += iterator.key.length + iterator.value.length;
          return bytes;
        },
      };
    },
  },
  {
    name: 'skip list',
    make: () => {
      const list = new SkipList();
      return {
        insert: (key, n) => list.insert(key, n, value),
        get: (key) => {
          const node = list.find(key, Number.MAX_SAFE_INTEGER);
          return (
            node !== 0 &&
            list.arena.hasKey(list.reference(node), key) &&
            list.arena.found(list.reference(node)) !== undefined
          );
        },
        scan: () => {
          let bytes = 0;
          for (let node = list.after(0); node !== 0; node = list.after(node)) {
            bytes += list.arena.keyOf(list.reference(node)).length + list.arena.valueOf(list.reference(node)).length;
          }
          return bytes;
        },
      };
    },
  },
  {
    name: 'sorted-btree',
    make: () => {
      interface Key {
        readonly key: Uint8Array;
        readonly version: number;
      }
      const tree = new BTree<Key, Uint8Array>(undefined, (a, b) => compareBytes(a.key, b.key) || b.version - a.version);
      return {
        insert: (key, n) => tree.set({ key: new Uint8Array(key), version: n }, new Uint8Array(value)),
        get: (key) => {
          const pair = tree.getPairOrNextHigher({ key, version: Number.MAX_SAFE_INTEGER });
          return pair !== undefined && compareBytes(pair[0].key, key) === 0;
        },
        scan: () => {
          let bytes = 0;
          tree.forEachPair(({ key }, bytesOfValue) => {
            bytes += key.length + bytesOfValue.length;
          });
          return bytes;
        },
      };
    },
  },
];

export async function memtable({
  quick,
  progress,
}: {
  quick: boolean;
  progress: (text: string) => void;
}): Promise<Row[]> {
  const rows: Row[] = [];
  const sizes = quick ? [50_000] : [50_000, 1_000_000];
  for (const structure of structures) {
    for (const count of sizes) {
      for (const shape of ['random', 'user/ and 11 digits', 'in order'] as const) {
        progress(`${structure.name}, ${count} ${shape} keys`);
        for (const { name, unit, ours } of await measure(structure, makeKeys(count, shape))) {
          rows.push({ name: `${structure.name}, ${count} keys, ${shape}: ${name}`, unit, ours: rounded(ours) });
        }
      }
    }
  }
  return rows;
}

/** A function of its own, so that nothing holds the structure while the next one is measured. */
async function measure(structure: Structure, keys: Uint8Array<ArrayBuffer>): Promise<Row[]> {
  const count = keys.length / keyBytes;
  const keyAt = (n: number): Uint8Array => new Uint8Array(keys.buffer, n * keyBytes, keyBytes);
  collectAll();
  const pauses = gcPauses();
  const made = structure.make();
  const insertMicros = cpuMicros(() => {
    for (let i = 0; i < count; i++) made.insert(keyAt(i), i + 1);
  });
  const { longestMs, totalMs } = await pauses.stop();
  const random = new Prng(2);
  const getMicros = cpuMicros(() => {
    for (let i = 0; i < count; i++) made.get(keyAt(random.int(0, count - 1)));
  });
  const scanMicros = cpuMicros(() => made.scan());
  const fullMs = fullCollectionMs();
  // Still there until now.
  if (!made.get(keyAt(0))) throw new Error('a key is lost');
  return [
    { name: 'insert', unit: 'µs of CPU', ours: insertMicros / count },
    { name: 'get', unit: 'µs of CPU', ours: getMicros / count },
    { name: 'scan', unit: 'µs of CPU a key', ours: scanMicros / count },
    { name: 'longest GC pause of insert', unit: 'ms', ours: longestMs },
    { name: 'GC of insert', unit: 'ms', ours: totalMs },
    { name: 'full GC', unit: 'ms', ours: fullMs },
  ];
}

/** Of several the shortest: the others lost the processor meanwhile. */
function fullCollectionMs(): number {
  const samples = Array.from({ length: fullCollections }, () => {
    const startMs = performance.now();
    collectAll();
    return performance.now() - startMs;
  });
  return Math.min(...samples);
}

/** One behind the other. */
function makeKeys(count: number, shape: 'random' | 'user/ and 11 digits' | 'in order'): Uint8Array<ArrayBuffer> {
  const random = new Prng(1);
  const keys = new Uint8Array(count * keyBytes);
  if (shape === 'random') {
    keys.set(random.bytes(keys.length));
    return keys;
  }
  for (let n = 0; n < count; n++) {
    const number = shape === 'in order' ? n : random.int(0, 10_000_000);
    keys.set(utf8(`user/${String(number).padStart(11, '0')}`), n * keyBytes);
  }
  return keys;
}

function cpuMicros(body: () => unknown): number {
  const before = process.cpuUsage();
  body();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function gcPauses(): { stop(): Promise<{ longestMs: number; totalMs: number }> } {
  let longestMs = 0;
  let totalMs = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      longestMs = Math.max(longestMs, duration);
      totalMs += duration;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return {
    stop: async () => {
      // Entries come some turns later.
      await new Promise((resolve) => setTimeout(resolve, 50));
      observer.disconnect();
      return { longestMs, totalMs };
    },
  };
}

function rounded(figure: number): number {
  return Math.round(figure * 1000) / 1000;
}
