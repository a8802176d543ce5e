/** Merging of sorted runs: entries of 16 B + 256 B, in memory and each run with keys of the whole range. */
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { MergingIterator } from '../../src/lsm/iterator/merging-iterator.js';
import { Memtable } from '../../src/lsm/memtable/memtable.js';
import { MemtableIterator } from '../../src/lsm/memtable/memtable-iterator.js';
import { TreeBatch } from '../../src/lsm/tree-batch.js';
import type { Row } from '../measure.js';
import { cpuMicrosPerCall } from './cpu-time.js';

const runEntries = 50_000;
const entryBytes = 16 + 256;

export function merge({ quick, progress }: { quick: boolean; progress: (text: string) => void }): Promise<Row[]> {
  const rows: Row[] = [];
  for (const runs of [1, 2, 5, 10, 20]) {
    progress(`${runs} runs`);
    const memtables = Array.from({ length: runs }, (_, run) => makeRun(run));
    const everything = { lower: new Uint8Array(0), upper: undefined };
    for (const reverse of [false, true]) {
      const micros = cpuMicrosPerCall(quick ? 2 : 10, () => {
        const sources = memtables.map((memtable) => new MemtableIterator(memtable, everything, reverse));
        const entries = new MergingIterator(sources, reverse);
        let count = 0;
        for (void entries.start(); entries.valid; void entries.advance()) count += entries.value.length > 0 ? 1 : 0;
        if (count !== runs * runEntries) throw new Error(`merged ${count} entries`);
      });
      const direction = reverse ? 'reverse' : 'forward';
      const perEntry = micros / (runs * runEntries);
      rows.push({ name: `${runs} runs, ${direction}`, unit: 'ns of CPU an entry', ours: Math.round(perEntry * 1000) });
      rows.push({
        name: `${runs} runs, ${direction}`,
        unit: 'MB/s of a core',
        ours: Math.round(entryBytes / perEntry),
      });
    }
  }
  return Promise.resolve(rows);
}

function makeRun(run: number): Memtable {
  const random = new Prng(run);
  const value = random.bytes(256);
  const memtable = new Memtable(LogIndex(0));
  for (let n = 1; n <= runEntries; n++) {
    memtable.write(new TreeBatch().put(random.bytes(16), Timestamp(n), value), LogIndex(n));
  }
  return memtable;
}
