/** The process that opens a tree for the first time: tells its parent how long it took until a get answered. */
import { openTree, timestampMax } from '../src/node/open-tree.js';
import { key16 } from './engine-data.js';

export interface OpenOrder {
  readonly directory: string;
  /** Number of the one that is read. */
  readonly key: number;
}

export interface OpenReport {
  readonly openMs: number;
  /** From the start of opening, too. */
  readonly firstGetMs: number;
  readonly bytes: number;
  readonly tables: number;
  readonly rssMib: number;
}

const { directory, key } = JSON.parse(process.argv[2]) as OpenOrder;
const startMs = performance.now();
const tree = await openTree(directory);
const openMs = performance.now() - startMs;
const found = await tree.get(key16(key), timestampMax);
const firstGetMs = performance.now() - startMs;
if (found?.kind !== 'put') throw new Error(`key ${key} is missing`);
const { bytes, levels } = tree.stats();
const report: OpenReport = {
  openMs: Math.round(10 * openMs) / 10,
  firstGetMs: Math.round(10 * firstGetMs) / 10,
  bytes,
  tables: levels.reduce((sum, { tables }) => sum + tables, 0),
  rssMib: Math.round(process.memoryUsage.rss() / 2 ** 20),
};
await tree.close();
process.send?.(report);
process.disconnect();
