/**
 * The suite of a follower that was away for long: one of three real processes is down while a million records are written,
 * then comes back and gets what it lacks as a Raft snapshot. The writes never stop; counted is what is left of their
 * throughput until the follower has all.
 *
 * `together`: all of them and the client share this machine. The work of the follower, elsewhere that of another machine, is taken
 * from the leader's; so it is counted, and what is left is also compared with what the three did before and do afterwards, where the
 * follower has its part of the machine, too. `apart`: the follower has a core for itself, as if it were another machine, and all
 * others the rest, all the time.
 */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';

import type { ClusterProcess } from '../jepsen-lite/cluster/process-cluster.js';
import { defined } from '../src/base/assert.js';
import { connect, type Client } from '../src/client/index.js';
import { valueOf } from './cluster/keys.js';
import { readProcessCounters } from './cluster/process-counters.js';
import type { Row, SuiteOptions } from './measure.js';
import { startCluster, whenReady } from './real-cluster.js';

/** More than the leader keeps of its log (`limits.shardLogBytesMax`). */
const recordsByDefault = { quick: 100_000, full: 1_000_000 };
const valueBytesByDefault = { quick: 1024, full: 32 };
const inFlight = 256;
const keySpace = 10_000_000;
/** Of each measurement that has no end by itself. */
const measureMs = 10_000;
const warmUpMs = 5000;
const pollEveryMs = 50;
/** A follower that lacks no more than this has what was written when it was asked. */
const lagMax = 100;

const parts = ['together', 'apart'] as const;
type Part = (typeof parts)[number];

export async function snapshotCatchUp(options: SuiteOptions): Promise<Row[]> {
  const { only = parts, progress } = options;
  const unknown = only.filter((name) => !parts.some((part) => part === name));
  if (unknown.length > 0) throw new Error(`parts of the suite are ${parts.join(', ')}, not ${unknown.join(', ')}`);
  const rows: Row[] = [];
  for (const part of parts) {
    if (!only.includes(part)) continue;
    const isPossible = part === 'together' || (await canPin());
    if (isPossible) rows.push(...(await catchUp(part, options)));
    else progress('skipped: apart (needs two cores, and taskset of util-linux)');
  }
  return rows;
}

async function catchUp(part: Part, { quick, keys, valueBytes, progress }: SuiteOptions): Promise<Row[]> {
  const length = quick ? 'quick' : 'full';
  const records = keys ?? recordsByDefault[length];
  await using cluster = await startCluster({ shards: 1 });
  await using client = await connect({ endpoints: cluster.endpoints, deadlineMs: 60_000 });
  await whenReady(client);
  const { shards, placement } = await client.status();
  const leader = cluster.node(Number(shards[0].leader));
  const follower = cluster.nodes.find(({ id }) => id !== Number(shards[0].leader) && id !== Number(placement.leader));
  if (follower === undefined) throw new Error('three nodes, of which two lead');

  const others = cluster.nodes.filter((node) => node !== follower);
  const itsCore = availableParallelism() - 1;
  if (part === 'apart') {
    await pin(follower, String(itsCore));
    for (const other of [...others, process]) await pin(other, `0-${itsCore - 1}`);
  }

  const load = new Load(client, valueBytes ?? valueBytesByDefault[length]);
  await setTimeout(warmUpMs);
  const whole = await load.measure(() => setTimeout(measureMs));
  const firstLacked = (await lookAt(client, follower)).committed;
  await follower.signal('SIGKILL');
  progress(`${records} records are written while node ${follower.id} is down`);
  const upTo = load.done + records;
  while (load.done < upTo) await setTimeout(pollEveryMs);
  const before = await load.measure(() => setTimeout(measureMs));
  const lackedIndexes = (await lookAt(client, follower)).committed - firstLacked;
  progress(`node ${follower.id} comes back, and lacks ${lackedIndexes} entries`);
  const during = await load.measure(async () => {
    // What a process may run on when it starts decides how many threads it has.
    if (part === 'apart') await pin(process, `0-${itsCore}`);
    follower.start();
    if (part === 'apart') {
      await pin(follower, String(itsCore));
      await pin(process, `0-${itsCore - 1}`);
    }
    while ((await lookAt(client, follower)).lacked > lagMax) await setTimeout(pollEveryMs);
  });
  const followerCpuMs = readProcessCounters(defined(follower.pid, 'process of the follower')).cpuMs;
  const after = await load.measure(() => setTimeout(measureMs));
  await load.stop();
  if (part === 'apart') await pin(process, `0-${itsCore}`);
  const delivered = leader.log.split('\n').filter((line) => line.includes('a follower has the Raft snapshot')).length;
  if (delivered === 0) throw new Error('the follower caught up without a Raft snapshot');
  const name = `a follower ${records} records behind${part === 'apart' ? ', on a core of its own' : ''}`;
  return [
    { name: `${name}: entries of the log it lacks`, unit: 'entries', ours: lackedIndexes },
    { name: `${name}: puts before it went down`, unit: 'operations/s', ours: whole.perSecond },
    { name: `${name}: puts before it comes back`, unit: 'operations/s', ours: before.perSecond },
    { name: `${name}: puts while it catches up`, unit: 'operations/s', ours: during.perSecond },
    { name: `${name}: puts afterwards`, unit: 'operations/s', ours: after.perSecond },
    { name: `${name}: throughput kept, of three nodes' before`, unit: '%', ours: percentOf(during, whole) },
    { name: `${name}: throughput kept, of two nodes'`, unit: '%', ours: percentOf(during, before) },
    { name: `${name}: throughput kept, of three nodes' afterwards`, unit: '%', ours: percentOf(during, after) },
    { name: `${name}: processor time of the follower meanwhile`, unit: 'ms', ours: followerCpuMs },
    { name: `${name}: start of its process until it has all`, unit: 'ms', ours: during.ms },
    { name: `${name}: Raft snapshots`, unit: 'transfers', ours: delivered },
  ];
}

async function canPin(): Promise<boolean> {
  if (availableParallelism() < 2) return false;
  return promisify(execFile)('taskset', ['--version']).then(
    () => true,
    () => false,
  );
}

/** All threads of the process run on these cores from now on. */
async function pin({ pid }: { readonly pid?: number | undefined }, cores: string): Promise<void> {
  await promisify(execFile)('taskset', ['-a', '-p', '-c', cores, String(defined(pid, 'its process'))]);
}

function percentOf(part: { readonly perSecond: number }, whole: { readonly perSecond: number }): number {
  return Math.round((100 * part.perSecond) / whole.perSecond);
}

/** Entries that are committed, and how many of them the follower has not applied; Infinity while it is not live. */
async function lookAt(client: Client, { id }: ClusterProcess): Promise<{ committed: number; lacked: number }> {
  const [{ replicas, leader }] = (await client.status()).shards;
  const committed = replicas.find(({ node }) => node === leader)?.commitIndex ?? 0;
  const replica = replicas.find(({ node }) => Number(node) === id);
  return { committed, lacked: replica?.live === true ? committed - replica.appliedIndex : Infinity };
}

/** A closed loop of puts that goes on until it is stopped. */
class Load {
  readonly #client: Client;
  readonly #valueBytes: number;
  readonly #callers: Promise<void>[];
  #isStopped = false;
  #next = 0;
  done = 0;

  constructor(client: Client, valueBytes: number) {
    this.#client = client;
    this.#valueBytes = valueBytes;
    this.#callers = Array.from({ length: inFlight }, () => this.#call());
  }

  async #call(): Promise<void> {
    while (!this.#isStopped) {
      const n = this.#next++;
      await this.#client.put(`key-${(n * 7_919_773) % keySpace}`, valueOf(this.#valueBytes, n));
      this.done++;
    }
  }

  async measure(meanwhile: () => Promise<unknown>): Promise<{ readonly perSecond: number; readonly ms: number }> {
    const startMs = performance.now();
    const { done } = this;
    await meanwhile();
    const ms = Math.round(performance.now() - startMs);
    return { ms, perSecond: Math.round(((this.done - done) * 1000) / ms) };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#callers);
  }
}
