/**
 * The smoke suite: three real processes on loopback, driven through the TypeScript client. Puts and gets at several
 * depths, and how long a shard whose leader was killed takes to acknowledge again. Beside them what bounds them from
 * below: a sync of the disk, and how late the client's own event loop is.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';

import { connect } from '../src/client/index.js';
import { NodeDisk } from '../src/platform/disk.js';
import { valueOf } from './cluster/keys.js';
import { measureLeaderKills } from './leader-kills.js';
import { percentile, runLoad, type Row } from './measure.js';
import { startCluster, whenReady } from './real-cluster.js';

const depths = [1, 64, 256, 1024];
const keys = 100_000;
const valueBytes = 256;
const kills = { quick: 2, full: 10 };
const syncs = 500;
const syncedBytes = 4096;
const loopResolutionMs = 1;

export async function smoke(options: { quick: boolean; progress: (text: string) => void }): Promise<Row[]> {
  await using cluster = await startCluster();
  await using client = await connect({ endpoints: cluster.endpoints, deadlineMs: 20_000 });
  await whenReady(client);
  const seconds = options.quick ? 2 : 5;
  const rows = await syncFloor();
  for (const inFlight of depths) {
    for (const kind of ['put', 'get'] as const) {
      options.progress(`${kind}, ${inFlight} in flight`);
      const operation = (n: number): Promise<unknown> => {
        const key = `${letter(n)}/${(n * 7919) % keys}`;
        return kind === 'put' ? client.put(key, valueOf(valueBytes, n)) : client.get(key);
      };
      const loop = monitorEventLoopDelay({ resolution: loopResolutionMs });
      loop.enable();
      const result = await runLoad({ inFlight, seconds, operation });
      loop.disable();
      const name = `${kind}, ${inFlight} in flight, ${valueBytes} B values`;
      rows.push({ name, unit: 'operations/s', ours: result.perSecond });
      rows.push({ name: `${name}, p50`, unit: 'ms', ours: result.p50Ms });
      rows.push({ name: `${name}, p99`, unit: 'ms', ours: result.p99Ms });
      if (result.failed > 0) rows.push({ name: `${name}, failed`, unit: 'operations', ours: result.failed });
      rows.push({ name: `${name}, delay of the client's event loop, p99`, unit: 'ms', ours: loopDelayMs(loop) });
    }
  }
  const count = options.quick ? kills.quick : kills.full;
  rows.push(...(await measureLeaderKills(cluster, client, { kills: count, progress: options.progress })));
  return rows;
}

/** Keys that begin with all letters and digits, so that every shard gets its part. */
function letter(n: number): string {
  return (n % 36).toString(36);
}

/** What timers were late by. */
function loopDelayMs(loop: IntervalHistogram): number {
  return toMicros(Math.max(0, loop.percentile(99) / 1e6 - loopResolutionMs));
}

/** What the disk alone takes for a durable write: no put in series can be quicker. */
async function syncFloor(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-bench-'));
  try {
    const file = await new NodeDisk().open(join(folder, 'sync'), 'createDurable');
    const bytes = new Uint8Array(syncedBytes);
    await file.write(new Uint8Array(syncs * syncedBytes), 0);
    const samples: number[] = [];
    for (let i = 0; i < syncs; i++) {
      const beganMs = performance.now();
      await file.write(bytes, i * syncedBytes);
      samples.push(performance.now() - beganMs);
    }
    await file.close();
    const name = `durable write of ${syncedBytes} B`;
    return [
      { name: `${name}, p50`, unit: 'ms', ours: toMicros(percentile(samples, 0.5)) },
      { name: `${name}, p99`, unit: 'ms', ours: toMicros(percentile(samples, 0.99)) },
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Milliseconds, to the microsecond. */
function toMicros(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
