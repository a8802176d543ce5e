/** The process of one node with many idle groups: tells its parent what it costs, then waits for its end. */
import { setTimeout } from 'node:timers/promises';

import { silentLogger } from '../src/env/logger.js';
import type { NodeOptions } from '../src/node/options.js';
import { serveNode } from '../src/node/serve.js';

export interface IdleOrder {
  readonly options: NodeOptions;
  readonly readyMsMax: number;
  /** From the time at which all groups have leaders, until nothing is left to be done for them. */
  readonly settleMs: number;
  readonly measureMs: number;
}

export interface IdleReport {
  /** Percent of a core, all threads. */
  readonly cpuPercent: number;
  readonly rssMib: number;
  readonly heapMib: number;
}

const { options, readyMsMax, settleMs, measureMs } = JSON.parse(process.argv[2]) as IdleOrder;
const node = await serveNode(options, { logger: silentLogger });
if (!(await node.ready(readyMsMax))) throw new Error(`not every group had a leader within ${readyMsMax} ms`);
await setTimeout(settleMs);
const startMs = performance.now();
const before = process.cpuUsage();
await setTimeout(measureMs);
const { user, system } = process.cpuUsage(before);
const report: IdleReport = {
  cpuPercent: (user + system) / 10 / (performance.now() - startMs),
  rssMib: process.memoryUsage.rss() / 2 ** 20,
  heapMib: process.memoryUsage().heapUsed / 2 ** 20,
};
process.send?.(report);
process.once('disconnect', () => process.exit());
