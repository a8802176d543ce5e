/**
 * One simulated run: form a cluster, let clients work under faults, heal, require progress, check what they saw.
 * The outcome is a function of the seed and of the code.
 */
import { QuorateError } from '../base/errors.js';
import { utf8 } from '../base/bytes.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { checkHistory } from '../../jepsen-lite/checker/check.js';
import { registerModel } from '../../jepsen-lite/checker/models/register.js';
import { describeFailure } from '../../jepsen-lite/checker/timeline/describe-failure.js';
import { SimCluster } from './cluster.js';
import { Faults } from './faults.js';
import type { FaultType } from './faults.js';
import { RegisterWorkload } from './register-workload.js';
import type { WorkloadCounts } from './register-workload.js';
import type { RunTurns } from './scheduler.js';

export interface SimRunOptions {
  readonly seed: number;
  readonly runTurns: RunTurns;
  /** Milliseconds of a real clock, to bound the search of the checker. */
  readonly nowMs: () => number;
  /** Virtual milliseconds under faults. Default 20 000. */
  readonly faultMs?: number;
}

export interface SimRunResult {
  readonly seed: number;
  readonly traceHash: string;
  /** Virtual milliseconds from start to end. */
  readonly virtualMs: number;
  readonly events: number;
  readonly operations: WorkloadCounts;
  readonly faults: Readonly<Record<FaultType, number>>;
  /** What was wrong; undefined when nothing was. */
  readonly failure: string | undefined;
  /** What the nodes logged, for a failed run. */
  readonly log: string;
}

const formMsMax = 30_000;
/** After healing, every shard takes a write within this: a few election timeouts, and replay after a restart. */
const recoverMsMax = 30_000;
/** Fewer answers than this in a second of the run mean that the load did not really run. */
const doneMinPerSecond = 1;
/** Of the operations on the key that a history fails at. */
const operationsShown = 40;

export async function simulate(options: SimRunOptions): Promise<SimRunResult> {
  const { seed, runTurns, faultMs = 20_000 } = options;
  const setup = { nodes: 3, shards: 1 + (seed % 3) };
  const cluster = new SimCluster({ seed, runTurns, ...setup });
  const workload = new RegisterWorkload(cluster, { clients: 5, keys: 5, thinkMsMax: 40 });
  const faults = new Faults(cluster, { gapMsMax: 2500, lastsMsMax: 5000 });
  let failure: string | undefined;
  try {
    failure = await runPhases(cluster, workload, faults, faultMs);
    failure ??= checkSeen(workload, faultMs, options.nowMs);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  cluster.stop();
  return {
    seed,
    traceHash: cluster.scheduler.traceHash,
    virtualMs: cluster.scheduler.nowMs,
    events: cluster.scheduler.eventsRun,
    operations: workload.counts,
    faults: faults.counts,
    failure,
    log: failure === undefined ? '' : cluster.log.text(),
  };
}

async function runPhases(
  cluster: SimCluster,
  workload: RegisterWorkload,
  faults: Faults,
  faultMs: number,
): Promise<string | undefined> {
  cluster.startAll();
  if (!(await cluster.runUntilReady(formMsMax))) return `the cluster was not formed within ${formMsMax} ms`;
  workload.start();
  faults.start();
  await cluster.scheduler.run(cluster.scheduler.nowMs + faultMs);
  faults.heal();
  const stopped = nodeFailures(cluster);
  if (stopped !== undefined) return stopped;
  workload.stop();
  if (!(await cluster.runUntilReady(recoverMsMax)))
    return `not every shard had a leader ${recoverMsMax} ms after healing`;
  const stuck = await requireProgress(cluster);
  if (stuck !== undefined) return stuck;
  // Let calls under way end, and followers catch up, so that equal indexes are compared.
  await cluster.scheduler.run(cluster.scheduler.nowMs + 5000);
  await settle(cluster, cluster.checkReplicasAgree());
  return nodeFailures(cluster);
}

/** None of these faults is a reason for a node to stop by itself. */
function nodeFailures(cluster: SimCluster): string | undefined {
  const failed = cluster.machines.find(({ failure }) => failure !== undefined);
  return failed === undefined ? undefined : `${failed.name} stopped: ${failed.failure?.stack ?? ''}`;
}

/** Runs virtual time until `promise` is there. */
async function settle<T>(cluster: SimCluster, promise: Promise<T>): Promise<T> {
  let settled = false;
  const end = (): void => {
    settled = true;
  };
  promise.then(end, end);
  await cluster.scheduler.runUntil(() => settled);
  return promise;
}

/** A write and a read on every shard. */
async function requireProgress(cluster: SimCluster): Promise<string | undefined> {
  const { node } = cluster.machine(1);
  for (const { descriptor } of node?.shardMap().shards ?? []) {
    const key = descriptor.start.length === 0 ? utf8('!progress') : descriptor.start;
    const operations: Operation[] = [
      {
        type: 'put',
        key,
        value: utf8('yes'),
        condition: { type: 'none' },
        requestId: { session: new Uint8Array(16), seq: descriptor.shard },
      },
      { type: 'get', key, consistency: 'linearizable' },
    ];
    for (const operation of operations) {
      const result = await settle(
        cluster,
        new Promise<OperationResult>((resolve) => {
          if (!cluster.submit(1, operation, recoverMsMax, resolve)) {
            resolve({ type: 'failed', error: new QuorateError('UNAVAILABLE', 'node 1 is down') });
          }
        }),
      );
      if (result.type === 'failed')
        return `no ${operation.type} on shard ${descriptor.shard} after healing: ${result.error.message}`;
    }
  }
  return undefined;
}

function checkSeen(workload: RegisterWorkload, faultMs: number, now: () => number): string | undefined {
  const floor = (doneMinPerSecond * faultMs) / 1000;
  if (workload.counts.done < floor)
    return `only ${workload.counts.done} operations were done: too few to mean anything`;
  const result = checkHistory({ model: registerModel, history: workload.recorder.history(), now });
  if (result.verdict === 'linearizable') return undefined;
  const { failure } = result;
  if (failure === undefined) return `the history is ${result.verdict}`;
  const last = failure.operations.slice(-operationsShown).map(({ client, call, return: end, input, output }) => {
    const span = `${call.toFixed(3)}–${end === undefined ? '?' : end.toFixed(3)}`;
    return `  client ${client} ${span}: ${registerModel.describeOperation(input, output)}`;
  });
  return `the history is not linearizable: ${describeFailure(registerModel, failure)}\n${last.join('\n')}`;
}
