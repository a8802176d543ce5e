/**
 * One simulated run: form a cluster, let clients work under faults, heal, require progress, check what they saw.
 * The outcome is a function of the seed and of the code.
 */
import { checkHistory } from '../../jepsen-lite/checker/check.js';
import { registerModel } from '../../jepsen-lite/checker/models/register.js';
import { describeFailure } from '../../jepsen-lite/checker/timeline/describe-failure.js';
import { DiskError } from '../env/disk.js';
import { defaultRaftTiming } from '../node/options.js';
import { startClients } from './client.js';
import { SimCluster } from './cluster.js';
import type { SimFailure } from './machine.js';
import { clockRates } from './fault-types.js';
import type { FaultType } from './fault-types.js';
import type { Mark } from './coverage.js';
import { isExplainedByDamage } from './disk-damage.js';
import { Faults } from './faults.js';
import { checkLoad, Health } from './health.js';
import { isExplainedByRemoval } from './node-operator.js';
import { checkObservations } from './observation-checks.js';
import { requireQuorumProgress } from './quorum-progress.js';
import { requireLeaders, requireRecovery } from './recovery.js';
import { scanAll } from './scan-call.js';
import type { RunTurns } from './scheduler.js';
import { drawPlan } from './swarm.js';
import type { SimPlan } from './swarm.js';
import { Workload } from './workload.js';
import type { WorkloadCounts } from './workload.js';

export interface SimRunOptions {
  readonly seed: number;
  readonly runTurns: RunTurns;
  /** Milliseconds of a real clock, to bound the search of the checker. */
  readonly nowMs: () => number;
  /** Virtual milliseconds under faults; more where the plan has faults of minutes. Default 20 000. */
  readonly faultMs?: number;
  /** Instead of what the seed draws, where it is given. */
  readonly plan?: Partial<SimPlan>;
}

export interface SimRunResult {
  readonly seed: number;
  readonly plan: SimPlan;
  readonly traceHash: string;
  /** Virtual milliseconds from start to end. */
  readonly virtualMs: number;
  readonly events: number;
  readonly operations: WorkloadCounts;
  readonly faults: Readonly<Record<FaultType, number>>;
  /** How often each rare path was taken. */
  readonly coverage: Readonly<Record<Mark, number>>;
  /** Operations in the histories that the checker of linearizability was given. */
  readonly operationsChecked: number;
  /** What was wrong; undefined when nothing was. */
  readonly failure: string | undefined;
  /** What the nodes logged, for a failed run. */
  readonly log: string;
}

const faultMsByDefault = 20_000;
const formMsMax = 30_000;
/** Of the operations on the key that a history fails at. */
const operationsShown = 40;
const violationsShown = 10;
/** Whether something is wrong. */
const lookEveryMs = 10;
const readStatesEveryMs = 3000;
const finalScanMsMax = 10_000;
const replaceMsMax = 120_000;

export async function simulate(options: SimRunOptions): Promise<SimRunResult> {
  const { seed, runTurns } = options;
  const plan = { ...drawPlan(seed), ...options.plan };
  const faultMs = Math.max(options.faultMs ?? faultMsByDefault, plan.faults.phaseMsMin ?? 0);
  const cluster = new SimCluster({ seed, runTurns, ...plan });
  const workload = new Workload(cluster, plan.workload);
  const health = new Health(cluster);
  const faults = new Faults(cluster, plan.faults, () => workload.bursts.faultComes());
  let failure: string | undefined;
  try {
    failure = await runPhases(cluster, workload, faults, health, { faultMs, healsQuorumFirst: plan.healsQuorumFirst });
    failure ??= checkLoad(workload.counts.done, health.seconds) ?? checkSeen(workload, faults, options.nowMs);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  cluster.stop();
  return {
    seed,
    plan,
    traceHash: cluster.scheduler.traceHash,
    virtualMs: cluster.scheduler.nowMs,
    events: cluster.scheduler.eventsRun,
    operations: workload.counts,
    faults: faults.counts,
    coverage: cluster.coverage.counts,
    operationsChecked: workload.recorder.count,
    failure,
    log: failure === undefined ? '' : cluster.log.text(),
  };
}

async function runPhases(
  cluster: SimCluster,
  workload: Workload,
  faults: Faults,
  health: Health,
  { faultMs, healsQuorumFirst }: { readonly faultMs: number; readonly healsQuorumFirst: boolean },
): Promise<string | undefined> {
  const { scheduler } = cluster;
  cluster.startAll();
  if (!(await cluster.runUntilReady(formMsMax))) return `the cluster was not formed within ${formMsMax} ms`;
  startClients(workload);
  health.start();
  faults.start();
  let areFaultsOver = false;
  readStatesInTurn(cluster, () => areFaultsOver);
  const isOver = (): boolean =>
    stoppedByItself(cluster) !== undefined || workload.seen.violations.length > 0 || cluster.violations.length > 0;
  await scheduler.runUntil(isOver, scheduler.nowMs + faultMs, lookEveryMs);
  areFaultsOver = true;
  workload.stop();
  health.stop();
  const quorum = healsQuorumFirst ? faults.healQuorum() : undefined;
  const soon =
    brokenRule(cluster) ?? stoppedByItself(cluster) ?? (quorum && (await requireQuorumProgress(cluster, quorum)));
  faults.heal();
  const wrong =
    soon ??
    brokenRule(cluster) ??
    stoppedByItself(cluster) ??
    (await requireReplacement(cluster, faults)) ??
    (await requireWishes(cluster, faults)) ??
    (await requireLeaders(cluster)) ??
    (await restartAll(cluster)) ??
    (await requireRecovery(cluster)) ??
    (await requireMembers(cluster, faults)) ??
    (await readAll(cluster, workload));
  return brokenRule(cluster) ?? wrong ?? stoppedByItself(cluster) ?? refusedMessage(cluster);
}

/** Now and then, of one machine after the other. */
function readStatesInTurn(cluster: SimCluster, isOver: () => boolean, turn = 0): void {
  cluster.scheduler.schedule(readStatesEveryMs, 'reads what replicas hold', () => {
    if (isOver()) return;
    cluster.machines[turn % cluster.machines.length].readStates('stateReadMeanwhile');
    readStatesInTurn(cluster, isOver, turn + 1);
  });
}

/** What the nodes do must be right, whether a client has come to see it or not. */
function brokenRule({ violations }: SimCluster): string | undefined {
  return violations.length === 0 ? undefined : violations.slice(0, violationsShown).join('\n');
}

/** Nodes that run the same code break no rule of the protocol, whatever was lost, late or repeated. */
function refusedMessage(cluster: SimCluster): string | undefined {
  const line = cluster.log.lines.find(({ level, message }) => level === 'error' && message.startsWith('a peer broke'));
  return line && `${String(line.fields.on)} refused what a peer sent: ${String(line.fields.reason)}`;
}

/** A failing, full, damaged or lost disk is a reason for a node to stop, and its removal; no other fault is. */
function stoppedByItself(cluster: SimCluster): string | undefined {
  const isExplained = (failure: SimFailure): boolean =>
    isOfDisk(failure.error) || isExplainedByDamage(failure) || isExplainedByRemoval(failure);
  const failed = cluster.failures.find((failure) => !isExplained(failure));
  return failed === undefined ? undefined : `${failed.machine.name} stopped: ${failed.error.stack ?? ''}`;
}

function isOfDisk(error: unknown): boolean {
  if (error instanceof DiskError) return error.code === 'io' || error.code === 'noSpace';
  return error instanceof Error && isOfDisk(error.cause);
}

/** A node that has lost its disk, or has repaired itself, is a member again, as any other. */
async function requireReplacement(cluster: SimCluster, { operator }: Faults): Promise<string | undefined> {
  const { scheduler, machines } = cluster;
  if (machines.some(({ repairs }) => repairs > 0) && !(await cluster.runUntilReady(replaceMsMax)))
    return `a node that has repaired itself is not back ${replaceMsMax} ms after healing`;
  if (operator === undefined || (await scheduler.runUntil(() => operator.isOver, scheduler.nowMs + replaceMsMax)))
    return undefined;
  return `${operator.state} ${replaceMsMax} ms after healing`;
}

/** Nodes that were to come have come, and those that were to go have gone. */
async function requireWishes({ scheduler }: SimCluster, { nodeOperator }: Faults): Promise<string | undefined> {
  if (await scheduler.runUntil(() => nodeOperator.isIdle, scheduler.nowMs + replaceMsMax)) return undefined;
  return `${nodeOperator.state} ${replaceMsMax} ms after healing`;
}

/**
 * Where other operators were at work, replicas are wherever those wanted them. Those of a node that has repaired itself come one by one
 * while it serves already.
 */
async function requireMembers(
  { scheduler }: SimCluster,
  { nodeOperator, counts }: Faults,
): Promise<string | undefined> {
  if (counts.addNode === 0) return undefined;
  const isDone = (): boolean => nodeOperator.check() === undefined;
  await scheduler.runUntil(isDone, scheduler.nowMs + replaceMsMax, lookEveryMs);
  return nodeOperator.check();
}

/** All machines lose power at once: what is there afterwards is what is on disk. */
async function restartAll(cluster: SimCluster): Promise<string | undefined> {
  for (const machine of cluster.machines) machine.crash('none');
  cluster.startAll();
  return requireLeaders(cluster);
}

/** Reads everything through every node, for the checks. */
async function readAll(cluster: SimCluster, workload: Workload): Promise<string | undefined> {
  for (const { id, name } of cluster.inService) {
    const read = new Promise<Error | undefined>((done) => scanAll(workload, id, finalScanMsMax, done));
    const error = await cluster.scheduler.complete(read);
    if (error !== undefined) return `no scan through ${name} after healing: ${error.message}`;
  }
  return undefined;
}

function checkSeen(workload: Workload, faults: Faults, now: () => number): string | undefined {
  const violations = checkObservations(workload.seen, { staleMsMax: staleMsMax(workload.cluster, faults) });
  if (violations.length > 0) return violations.slice(0, violationsShown).join('\n');
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

/** docs/protocol/reads.md, "Stale": by a clock that may be slow, but does not stand still. */
function staleMsMax({ limits }: SimCluster, { counts }: Faults): number {
  if (counts.monotonicFreeze > 0) return Infinity;
  const { electionTicksMax, tickMs } = defaultRaftTiming;
  return (limits.staleReadMsMax + 2 * electionTicksMax * tickMs) / clockRates.min;
}
