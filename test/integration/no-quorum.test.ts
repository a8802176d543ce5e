/**
 * Two of three processes stop while writes are in flight: each of these ends within its deadline and says whether it may
 * have taken effect, and that is what turns out to be so.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { status as GrpcStatus } from '@grpc/grpc-js';
import { connect, QuorateError, type Client } from 'quorate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterProcess } from '../../jepsen-lite/cluster/process-cluster.js';
import { errorDetail, failure, rawClient } from '../rpc/harness.js';
import { isCaughtUp, shardOf, startProcesses, Tally, until, untilStatus, type RunningCluster } from './support.js';
import { WatchedSyncs } from './watched-syncs.js';

const writers = 32;
const deadlineMs = 3000;
/** For what a busy machine takes on top, once the time is up. */
const marginMs = 5000;
/** Syncs take so long that most of what is in flight waits for one. */
const syncMs = 50;
const session = randomBytes(16);
/** A write in flight at the wrong moment cannot be ordered, only be made likely. */
const roundsMax = 5;

let folder: string;
let cluster: RunningCluster;
let seq = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-no-quorum-'));
  const { environment } = await WatchedSyncs.prepare(folder, syncMs);
  cluster = await startProcesses({ folder, environment });
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A put that failed. */
interface Failed {
  readonly key: string;
  readonly value: string;
  readonly seq: number;
  /** The value that was acknowledged before it. */
  readonly before: string | undefined;
  readonly error: QuorateError;
  readonly elapsedMs: number;
}

/** Puts to one key, one after the other, until one fails. */
async function writeUntilFailure(client: Client, key: string, acknowledged: Tally): Promise<Failed> {
  let before: string | undefined;
  for (;;) {
    seq++;
    const put = { key, value: `value ${seq}`, seq, before };
    const beganMs = performance.now();
    try {
      await client.put(key, put.value, { requestId: { session, seq }, deadlineMs });
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      return { ...put, error, elapsedMs: performance.now() - beganMs };
    }
    before = put.value;
    acknowledged.add();
  }
}

async function valueOf(key: string): Promise<string | undefined> {
  const found = await cluster.client.get(key, { deadlineMs: 20_000 });
  return found.type === 'found' ? Buffer.from(found.value).toString() : undefined;
}

/** What the error says is so, and the same request again has one definite answer. */
async function expectConsistent({ key, value, seq, before, error, elapsedMs }: Failed): Promise<void> {
  expect(elapsedMs).toBeLessThan(deadlineMs + marginMs);
  const found = await valueOf(key);
  if (error.outcome === 'notApplied') {
    expect(found).toBe(before);
    return;
  }
  expect([before, value]).toContain(found);
  const again = (): Promise<unknown> =>
    cluster.client.put(key, value, { requestId: { session, seq }, deadlineMs: 20_000 });
  const answer = await again();
  expect(answer).toMatchObject({ type: 'written' });
  expect(await again()).toEqual(answer);
  expect(await cluster.client.get(key)).toMatchObject({ version: (answer as { version: number }).version });
  expect(await valueOf(key)).toBe(value);
}

describe.each<{ what: string; stop: (node: ClusterProcess) => unknown; resume: (node: ClusterProcess) => unknown }>([
  { what: 'SIGSTOP', stop: suspend, resume: (node) => node.signal('SIGCONT') },
  { what: 'SIGKILL', stop: (node) => node.signal('SIGKILL'), resume: (node) => node.start() },
])('$what of two of three', ({ what, stop, resume }) => {
  test('fails what is in flight with an unknown outcome, and what comes then as not applied', async () => {
    const { processes, client } = cluster;
    let unknown = 0;
    for (let round = 1; unknown === 0; round++) {
      expect(round).toBeLessThanOrEqual(roundsMax);
      const keys = Array.from({ length: writers }, (_, i) => `G/${what}/${round}/${i}`);
      const shard = shardOf(keys[0], await untilStatus(client, 'replicas that have applied the same', isCaughtUp));
      const leader = processes.node(Number(shard.leader));
      const others = processes.nodes.filter((node) => node !== leader);
      await using ofLeader = await connect({ endpoints: [leader.endpoint] });
      const acknowledged = new Tally();
      const writing = Promise.all(keys.map((key) => writeUntilFailure(ofLeader, key, acknowledged)));
      await acknowledged.reaches(10 * writers);
      // The writes that follow have their timestamps soon, and then wait for the sync that they share.
      await setTimeout(syncMs / 2);
      await Promise.all(others.map(stop));
      const failed = await writing;
      unknown += failed.filter(({ error }) => error.outcome === 'unknown').length;
      await expectRefused(leader, `G/${what}/${round}/refused`, shard.id);
      await Promise.all(others.map(resume));
      await untilStatus(client, 'replicas that have applied the same', isCaughtUp, 60_000);
      await Promise.all(failed.map(expectConsistent));
      expect(await valueOf(`G/${what}/${round}/refused`)).toBeUndefined();
    }
  }, 120_000);
});

/** The node that is left refuses a put that begins when it knows of no leader any more. */
async function expectRefused(node: ClusterProcess, key: string, shard: number): Promise<void> {
  await using client = await connect({ endpoints: [node.endpoint] });
  await until('the node that is left to know of no leader', 30_000, async () => {
    const { shards } = await client.shardMap();
    return shards.every(({ leader }) => leader === undefined);
  });
  const raw = rawClient(node.endpoint);
  try {
    const error = await failure(raw.unary('Put', { key: Buffer.from(key), value: Buffer.from('refused') }));
    expect(GrpcStatus[error.code]).toBe('UNAVAILABLE');
    expect(errorDetail(error)).toEqual({
      code: 'ERROR_CODE_SHARD_UNAVAILABLE',
      outcome: 'OUTCOME_NOT_APPLIED',
      shard,
      retryable: true,
    });
  } finally {
    raw.close();
  }
}

/** Resolves when every thread of it has stopped: the signal alone is only on its way. */
async function suspend(node: ClusterProcess): Promise<void> {
  await node.signal('SIGSTOP');
  if (process.platform !== 'linux') return;
  await until('the process to be stopped', 10_000, () =>
    / T /.test(readFileSync(`/proc/${node.pid}/stat`, 'latin1').replace(/^.*\)/, '')),
  );
}
