/**
 * The suite of a follower that was away for long: one of three real processes is down while a million records are written,
 * then comes back and gets what it lacks as a Raft snapshot. The writes never stop; counted is what is left of their
 * throughput until the follower has all.
 *
 * A compaction of nodes that share a core halves what they do, and may last as long as a follower takes to catch up. So it comes
 * back several times, and is compared with several times as long. Every record is written once before: so compactions are of one
 * size.
 *
 * `together`: all of them and the client share this machine. The work of the follower, elsewhere that of another machine, is taken
 * from the leader's; so it is counted, and what is left is also compared with what the three do afterwards, where the
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
const roundsOf = { quick: 1, full: 6 };
const inFlight = 256;
/** Prime: where it divides no number of records, keys come in an order of their own, each as often as the others. */
const stride = 7_919_801;
/** Short: else what each round replaced stays, and the compactions of the last one take longer than it. */
const versionRetentionMs = 10_000;
const pollEveryMs = 50;
/** Then a leader keeps no more for a follower than `limits.shardLogBytesMax`: it counts as away after 10 s. */
const downMsMin = 15_000;
/** Many times what it takes: then it does not happen any more. */
const catchUpMsMax = 300_000;
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
  await using cluster = await startCluster({ shards: 1, settings: { limits: { versionRetentionMs } } });
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

  const load = new Load(client, records, valueBytes ?? valueBytesByDefault[length]);
  await load.wrote(records);
  const withTwo = new Measured();
  const during = new Measured();
  const withThree = new Measured();
  let lackedIndexes = 0;
  let followerCpuMs = 0;
  for (let round = 1; round <= roundsOf[length]; round++) {
    const firstLacked = (await lookAt(client, follower)).committed;
    await follower.signal('SIGKILL');
    progress(
      `${round} of ${roundsOf[length]}: at least ${records} records are written while node ${follower.id} is down`,
    );
    await load.measure(withTwo, () => Promise.all([load.wrote(records), setTimeout(downMsMin)]));
    lackedIndexes += (await lookAt(client, follower)).committed - firstLacked;
    await load.measure(during, async () => {
      // What a process may run on when it starts decides how many threads it has.
      if (part === 'apart') await pin(process, `0-${itsCore}`);
      follower.start();
      if (part === 'apart') {
        await pin(follower, String(itsCore));
        await pin(process, `0-${itsCore - 1}`);
      }
      const hasAll = async (): Promise<boolean> => (await lookAt(client, follower)).lacked <= lagMax;
      const failed = `node ${follower.id} has not caught up within ${catchUpMsMax / 1000} s`;
      await load.until(hasAll, { msMax: catchUpMsMax, failed });
    });
    followerCpuMs += readProcessCounters(defined(follower.pid, 'process of the follower')).cpuMs;
    const delivered = leader.log.split('\n').filter((line) => line.includes('a follower has the Raft snapshot')).length;
    if (delivered !== round)
      throw new Error(`after ${round} rounds node ${leader.id} has delivered ${delivered} Raft snapshots`);
    // Of another length each time, so that it comes back at another point of the cycle in which memtables are flushed and compacted.
    await load.measure(withThree, () => load.wrote(Math.round(records * (0.5 + round / roundsOf[length]))));
  }
  await load.stop();
  if (part === 'apart') await pin(process, `0-${itsCore}`);
  const name = `a follower ${records} records behind${part === 'apart' ? ', on a core of its own' : ''}`;
  const each = (total: number) => Math.round(total / roundsOf[length]);
  return [
    { name: `${name}: entries of the log it lacks`, unit: 'entries', ours: each(lackedIndexes) },
    { name: `${name}: puts while it is down`, unit: 'operations/s', ours: withTwo.perSecond, samples: withTwo.rates },
    { name: `${name}: puts while it catches up`, unit: 'operations/s', ours: during.perSecond, samples: during.rates },
    { name: `${name}: puts afterwards`, unit: 'operations/s', ours: withThree.perSecond, samples: withThree.rates },
    { name: `${name}: throughput kept, of two nodes'`, unit: '%', ours: percentOf(during, withTwo) },
    { name: `${name}: throughput kept, of three nodes' afterwards`, unit: '%', ours: percentOf(during, withThree) },
    { name: `${name}: processor time of the follower meanwhile`, unit: 'ms', ours: each(followerCpuMs) },
    { name: `${name}: start of its process until it has all`, unit: 'ms', ours: each(during.ms) },
    { name: `${name}: Raft snapshots`, unit: 'transfers', ours: roundsOf[length] },
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

function percentOf(part: Measured, whole: Measured): number {
  return Math.round((100 * part.perSecond) / whole.perSecond);
}

/** Entries that are committed, and how many of them the follower has not applied; Infinity while it is not live. */
async function lookAt(client: Client, { id }: ClusterProcess): Promise<{ committed: number; lacked: number }> {
  const [{ replicas, leader }] = (await client.status()).shards;
  const committed = replicas.find(({ node }) => node === leader)?.commitIndex ?? 0;
  const replica = replicas.find(({ node }) => Number(node) === id);
  return { committed, lacked: replica?.live === true ? committed - replica.appliedIndex : Infinity };
}

/** What was done in all spans of one kind. */
class Measured {
  done = 0;
  ms = 0;
  readonly rates: number[] = [];

  add(done: number, ms: number): void {
    this.done += done;
    this.ms += ms;
    this.rates.push(Math.round((done * 1000) / ms));
  }

  get perSecond(): number {
    return Math.round((this.done * 1000) / this.ms);
  }
}

/** A closed loop of puts that goes on until it is stopped. */
class Load {
  readonly #client: Client;
  readonly #records: number;
  readonly #valueBytes: number;
  readonly #callers: Promise<void>[];
  #isStopped = false;
  #failure: Error | undefined;
  #next = 0;
  #done = 0;

  constructor(client: Client, records: number, valueBytes: number) {
    this.#client = client;
    this.#records = records;
    this.#valueBytes = valueBytes;
    this.#callers = Array.from({ length: inFlight }, () => this.#call());
    // Whoever waits or stops it learns what went wrong.
    for (const caller of this.#callers) caller.catch((error: Error) => (this.#failure ??= error));
  }

  async #call(): Promise<void> {
    while (!this.#isStopped) {
      const n = this.#next++;
      await this.#client.put(`key-${(n * stride) % this.#records}`, valueOf(this.#valueBytes, n));
      this.#done++;
    }
  }

  /** Resolves when that many more are. */
  async wrote(records: number): Promise<void> {
    const upTo = this.#done + records;
    await this.until(() => this.#done >= upTo);
  }

  /** Rejects when the load has failed, or this takes too long. */
  async until(
    isSo: () => boolean | Promise<boolean>,
    limit?: { readonly msMax: number; readonly failed: string },
  ): Promise<void> {
    const deadlineMs = performance.now() + (limit?.msMax ?? Infinity);
    while (!(await isSo())) {
      if (this.#failure !== undefined) throw this.#failure;
      if (performance.now() > deadlineMs) throw new Error(limit?.failed);
      await setTimeout(pollEveryMs);
    }
  }

  async measure(measured: Measured, meanwhile: () => Promise<unknown>): Promise<void> {
    const startMs = performance.now();
    const before = this.#done;
    await meanwhile();
    measured.add(this.#done - before, performance.now() - startMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#callers);
  }
}
