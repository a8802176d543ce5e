/**
 * Ten times the puts that the cluster can do, at a fixed rate that waits for nothing: how much is done meanwhile and how
 * fast, how the rest is refused, whether memory stays within bounds and leaders where they are. Ours alone.
 */
import { build } from 'hdr-histogram-js';
import { setTimeout } from 'node:timers/promises';

import { compareBytes } from '../../src/base/bytes.js';
import { runLoad, type Row, type SuiteOptions } from '../measure.js';
import { encodedPut, renewValue } from './encoded-put.js';
import { spreadKey, valueOf } from './keys.js';
import type { InnerCounters } from './system.js';
import { readProcessCounters } from './process-counters.js';
import { PutStream, type PutTally } from './put-stream.js';
import { startQuorate, type RunningQuorate } from './quorate-system.js';
import { rounded, shardsRow } from './results.js';

const usualKeys = 10_000;
const usualValueBytes = 256;
const usualMinutes = 0.5;
const timesCapacity = 10;
const capacityInFlight = 1024;
/** To each node, so that one stream's bound does not spare the node its own. */
const streamsEach = 8;
const tickMs = 5;
const drainMsMax = 15_000;
const mib = 2 ** 20;

export async function overload(options: SuiteOptions): Promise<Row[]> {
  const { progress, quick, keys = usualKeys, valueBytes = usualValueBytes } = options;
  const seconds = 60 * (options.minutes ?? (quick ? usualMinutes / 3 : usualMinutes));
  progress('starting');
  await using running = await startQuorate({ keys, valueBytes });
  const put = (n: number): Promise<unknown> => running.client.put(spreadKey(n, keys), valueOf(valueBytes, n));
  const closed = { inFlight: capacityInFlight, seconds: quick ? 3 : 8, operation: put };
  progress('how much it can do');
  await runLoad({ ...closed, seconds: 2 });
  const capacity = (await runLoad(closed)).perSecond;
  const before = await termsOf(running);
  progress(`${timesCapacity} times ${capacity} puts a second, for ${seconds} s`);
  const found = await offer(running, { perSecond: capacity * timesCapacity, seconds, keys, valueBytes, progress });
  const after = await runLoad(closed);
  const leaderChanges = (await termsOf(running)) - before;
  return [shardsRow(running.shards), ...rowsOf({ ...found, capacity, after: after.perSecond, leaderChanges })];
}

async function termsOf({ client }: RunningQuorate): Promise<number> {
  const { shards, placement } = await client.status({ deadlineMs: 30_000 });
  return [placement, ...shards].reduce((sum, { term }) => sum + term, 0);
}

interface Offer {
  readonly perSecond: number;
  readonly seconds: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly progress: (text: string) => void;
}

interface Overloaded {
  readonly tally: PutTally;
  readonly elapsedSeconds: number;
  readonly offered: number;
  /** Of the node that had most, second by second. */
  readonly rssMib: readonly number[];
  readonly admittedPerSecond: readonly number[];
  /** Of all nodes, once a minute and at the end; timers since the time before. */
  readonly looks: readonly InnerCounters[];
  /** Of the generator: a rate that it does not keep was not offered. */
  readonly lateMsMax: number;
}

async function offer(running: RunningQuorate, of: Offer): Promise<Overloaded> {
  const { perSecond, seconds, valueBytes, progress } = of;
  const histogram = (): PutTally['latencies'] =>
    build({ lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000 });
  const tally: PutTally = {
    admitted: 0,
    refused: 0,
    refusedWithoutHint: 0,
    otherwiseFailed: new Map(),
    broken: new Map(),
    heldBack: 0,
    latencies: histogram(),
    refusalLatencies: histogram(),
  };
  const puts = await encodedPuts(running, of);
  const streams = new Map<string, readonly PutStream[]>();
  for (const { address } of puts) {
    if (!streams.has(address)) {
      const each = Array.from({ length: streamsEach }, () => new PutStream(address, tally));
      streams.set(address, each);
    }
  }
  const all = [...streams.values()].flat();
  const rssMib: number[] = [];
  const admittedPerSecond: number[] = [];
  const looks: InnerCounters[] = [];
  const look = async (): Promise<InnerCounters[]> => Promise.all(running.processes.map(({ inner }) => inner()));
  await look();
  let offered = 0;
  let lateMsMax = 0;
  let admittedBefore = 0;
  const startMs = performance.now();
  for (let nowMs = startMs; nowMs - startMs < seconds * 1000; nowMs = performance.now()) {
    const dueByNow = Math.floor(((nowMs - startMs) / 1000) * perSecond);
    lateMsMax = Math.max(lateMsMax, ((dueByNow - offered) / perSecond) * 1000 - tickMs);
    for (; offered < dueByNow; offered++) {
      const { address, bytes } = puts[offered % puts.length];
      const dueMs = startMs + (offered / perSecond) * 1000;
      if (streams.get(address)?.[offered % streamsEach].add(bytes, dueMs) === true)
        renewValue(bytes, valueBytes, offered);
    }
    for (const stream of all) stream.flush();
    if (nowMs - startMs >= 1000 * (rssMib.length + 1)) {
      rssMib.push(largestRssMib(running));
      admittedPerSecond.push(tally.admitted - admittedBefore);
      admittedBefore = tally.admitted;
      if (rssMib.length % 60 === 0) {
        const now = await look();
        looks.push(...now);
        const [heap, arrays] = [largest(now, 'heapBytes') / mib, largest(now, 'arrayBytes') / mib].map(rounded);
        const rss = rounded(rssMib[rssMib.length - 1]);
        progress(`${rssMib.length / 60} min: at most ${rss} MiB, heap ${heap}, array buffers ${arrays}`);
      }
    }
    await setTimeout(tickMs);
  }
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  looks.push(...(await look()));
  for (let waitedMs = 0; waitedMs < drainMsMax && all.some(({ open }) => open > 0); waitedMs += 100) {
    for (const stream of all) stream.flush();
    await setTimeout(100);
  }
  for (const stream of all) stream[Symbol.dispose]();
  return { tally, elapsedSeconds, offered, rssMib, admittedPerSecond, looks, lateMsMax };
}

function largest(looks: readonly InnerCounters[], of: keyof InnerCounters): number {
  return Math.max(...looks.map((look) => look[of] ?? 0));
}

/** Of each key, with the node that leads it. */
async function encodedPuts(
  { client }: RunningQuorate,
  { keys, valueBytes }: Offer,
): Promise<{ readonly address: string; readonly bytes: Uint8Array }[]> {
  const { nodes, shards } = await client.shardMap();
  const addressOf = new Map<number, string>(nodes.map(({ id, clientAddress }) => [id, clientAddress]));
  return Array.from({ length: keys }, (_, n) => {
    // Neighbours are led by different nodes.
    const key = spreadKey(n, keys);
    const shard = shards.findLast(({ descriptor }) => compareBytes(descriptor.start, key) <= 0);
    const address = shard?.leader === undefined ? undefined : addressOf.get(shard.leader);
    if (address === undefined) throw new Error('a shard has no leader');
    return { address, bytes: encodedPut(key, valueOf(valueBytes, n)) };
  });
}

function largestRssMib({ processes }: RunningQuorate): number {
  return Math.max(...processes.map(({ pid }) => readProcessCounters(pid).rssBytes)) / mib;
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

function rowsOf(
  of: Overloaded & { readonly capacity: number; readonly after: number; readonly leaderChanges: number },
): Row[] {
  const { tally, elapsedSeconds, rssMib } = of;
  const row = (what: string, unit: string, ours: number): Row => ({
    name: `puts at ${timesCapacity} times what can be done, ${what}`,
    unit,
    ours: rounded(ours),
  });
  const rate = (what: string, count: number): Row => row(what, 'operations/s', count / elapsedSeconds);
  const at = ({ latencies }: PutTally, part: number): number => latencies.getValueAtPercentile(part) / 1000;
  return [
    row('what can be done', 'operations/s', of.capacity),
    rate('offered', of.offered),
    { ...rate('done', tally.admitted), samples: of.admittedPerSecond },
    rate('refused', tally.refused),
    rate('refused without a hint', tally.refusedWithoutHint),
    rate('held back by flow control', tally.heldBack),
    rate('failed otherwise', total(tally.otherwiseFailed)),
    ...[...tally.otherwiseFailed].map(([reason, count]) => rate(`failed otherwise: ${reason}`, count)),
    row('streams that broke', 'streams', total(tally.broken)),
    row('p50 of what is done', 'ms', at(tally, 50)),
    row('p99 of what is done', 'ms', at(tally, 99)),
    row('longest of what is done', 'ms', tally.latencies.maxValue / 1000),
    row('p50 of refusals', 'ms', tally.refusalLatencies.getValueAtPercentile(50) / 1000),
    row('p99 of refusals', 'ms', tally.refusalLatencies.getValueAtPercentile(99) / 1000),
    { ...row('largest RSS of a node', 'MiB', Math.max(...rssMib)), samples: rssMib.map(rounded) },
    row(
      'RSS at the end, of that at a third',
      '%',
      (100 * rssMib[rssMib.length - 1]) / rssMib[Math.floor(rssMib.length / 3)],
    ),
    row("largest heap of a node's JavaScript", 'MiB', largest(of.looks, 'heapBytes') / mib),
    row('of that used', 'MiB', largest(of.looks, 'heapUsedBytes') / mib),
    row('largest array buffers of a node', 'MiB', largest(of.looks, 'arrayBytes') / mib),
    row('changes of leader', 'terms', of.leaderChanges),
    row('p99 of late timers', 'ms', largest(of.looks, 'loopDelayP99Ms')),
    row('latest timer', 'ms', largest(of.looks, 'loopDelayMsMax')),
    row('done afterwards, of what can be done', '%', (100 * of.after) / of.capacity),
    row('the generator was late by', 'ms', of.lateMsMax),
  ];
}
