/**
 * The suite `cluster`: three processes of ours and, where it is installed, three members of etcd, each alone while it is
 * measured, in turns. See README.md beside this file for what is measured and how.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { InvalidArgumentError } from 'commander';

import { report, type Row, type SuiteOptions } from '../measure.js';
import { etcdName, startEtcd } from './etcd-system.js';
import { isInstalled } from './h2load.js';
import { htmlReport } from './html-report.js';
import { overload } from './overload.js';
import { readChildrenCpuMs } from './process-counters.js';
import { askProbe } from './probe-messages.js';
import { quorateName, startQuorate, type RunningQuorate } from './quorate-system.js';
import { rowsOf, shardsRow, type Measured, type Measurement } from './results.js';
import { partNames, type Outcome, type Scenario } from './scenario.js';
import { scenariosOf } from './scenarios.js';
import { sustained } from './sustained.js';
import type { DataOptions, RunningSystem } from './system.js';
import { whileRunning } from './usage.js';

/** By itself: it measures other things than the rest. */
const overloadPart = 'overload';
const usualKeys = 10_000;
const usualValueBytes = 256;
const times = {
  quick: { rounds: 1, seconds: 1.5, drySeconds: 0.5, leadInSeconds: 0.5, warmUpSeconds: 15 },
  full: { rounds: 3, seconds: 5, drySeconds: 2, leadInSeconds: 1, warmUpSeconds: 30 },
};

/** Of one side: what each scenario gave, round by round. */
type Results = Map<string, Measurement[]>;

export async function cluster(options: SuiteOptions): Promise<Row[]> {
  if (options.sustained !== undefined) return sustained({ ...options, minutes: options.sustained });
  if (options.only?.length === 1 && options.only[0] === overloadPart) return overload(options);
  const { progress, quick, keys = usualKeys, valueBytes = usualValueBytes } = options;
  const data: DataOptions = { keys, valueBytes };
  const tools = { h2load: await isInstalled('h2load'), etcd: await isInstalled('etcd') };
  if (!tools.etcd) progress('etcd is not on the PATH (Debian: etcd-server): nothing to compare with');
  if (!tools.h2load) progress('h2load is not on the PATH (Debian: nghttp2-client): what it drives is skipped');
  const scenarios = wanted(scenariosOf(data, { quick }), options.only).filter(
    ({ needsH2load }) => tools.h2load || !needsH2load,
  );
  const { rounds } = quick ? times.quick : times.full;
  const ours: Results = new Map();
  const theirs: Results = new Map();
  let shards = 0;
  for (let round = 1; round <= rounds; round++) {
    const said = (text: string): void => void progress(`round ${round} of ${rounds}, ${text}`);
    shards = await oneTurn(scenarios, { ...options, progress: said, data }, ours);
    if (tools.etcd) await rivalsTurn(scenarios, { ...options, progress: said, data }, theirs);
  }
  const measured = scenarios.map((scenario): Measured => {
    const isBorrowed = typeof scenario.theirs === 'string';
    // Of a scenario that is not the rival's nothing is found.
    const nameOfTheirs = typeof scenario.theirs === 'string' ? scenario.theirs : scenario.name;
    const found = { ours: ours.get(scenario.name) ?? [], theirs: theirs.get(nameOfTheirs) ?? [] };
    return { scenario, ...found, rival: etcdName, isBorrowed };
  });
  const rows = [shardsRow(shards), ...measured.flatMap(rowsOf)];
  if (options.html !== undefined) writeFileSync(options.html, htmlReport(report('cluster', rows), measured));
  return rows;
}

/** Those of the parts that were asked for. */
function wanted(scenarios: readonly Scenario[], only: readonly string[] | undefined): readonly Scenario[] {
  if (only === undefined) return scenarios;
  const unknown = only.filter((name) => !partNames.some((part) => part === name));
  if (unknown.length > 0) {
    throw new InvalidArgumentError(
      `no part ${unknown.join(', ')}; there are ${partNames.join(', ')}, and ${overloadPart} by itself`,
    );
  }
  return scenarios.filter(({ part }) => only.includes(part));
}

interface TurnOptions extends SuiteOptions {
  readonly data: DataOptions;
}

/** Resolves to the number of our shards. */
async function oneTurn(scenarios: readonly Scenario[], options: TurnOptions, results: Results): Promise<number> {
  options.progress(`${quorateName}: starting`);
  await using running = await startQuorate(options.data);
  const steps = scenarios.map((scenario): Step => {
    const run: Step['run'] = (seconds) => scenario.ours(running, seconds);
    if (options.profile === undefined) return { scenario, run };
    return { scenario, run: profiled(run, running, scenario.name, options.profile) };
  });
  await measureAll({ system: quorateName, running, steps, results }, options);
  return running.shards;
}

async function rivalsTurn(scenarios: readonly Scenario[], options: TurnOptions, results: Results): Promise<void> {
  options.progress(`${etcdName}: starting`);
  await using running = await startEtcd(options.data);
  const steps = scenarios.flatMap((scenario): Step[] => {
    const { theirs } = scenario;
    return typeof theirs === 'function' ? [{ scenario, run: (seconds) => theirs(running, seconds) }] : [];
  });
  await measureAll({ system: etcdName, running, steps, results }, options);
}

/** A scenario on one side. */
interface Step {
  readonly scenario: Scenario;
  readonly run: (seconds: number) => Promise<Outcome>;
}

/**
 * Everything for a short time, again and again until the code is compiled: in its first seconds a node takes four times as
 * long for one client in series. Then everything again, each after a time of the same that does not count, so that
 * nothing is left in it of what came before. On both sides alike.
 */
async function measureAll(
  of: {
    readonly system: string;
    readonly running: RunningSystem;
    readonly steps: readonly Step[];
    readonly results: Results;
  },
  { quick, progress }: TurnOptions,
): Promise<void> {
  const { seconds, drySeconds, leadInSeconds, warmUpSeconds } = quick ? times.quick : times.full;
  progress(`${of.system}: warming up`);
  // Without the large values, which stay.
  const dry = of.steps.filter(({ scenario }) => scenario.part !== 'values');
  const beganMs = performance.now();
  do {
    for (const { run } of dry) await run(drySeconds);
  } while (dry.length > 0 && performance.now() - beganMs < warmUpSeconds * 1000);
  for (const step of of.steps) {
    const { name } = step.scenario;
    progress(`${of.system}: ${name}`);
    await step.run(leadInSeconds);
    const before = of.results.get(name) ?? [];
    of.results.set(name, [...before, await measure(step, of.running, seconds)]);
  }
}

async function measure({ scenario, run }: Step, { processes }: RunningSystem, seconds: number): Promise<Measurement> {
  const watchesLoop = scenario.isInSeries !== true;
  const generatorCpuMs = scenario.needsH2load ? readChildrenCpuMs : ownCpuMs;
  const timed = async (): Promise<Pick<Measurement, 'outcome' | 'generatorCpuMs'>> => {
    const beforeMs = generatorCpuMs();
    const outcome = await run(seconds);
    return { outcome, generatorCpuMs: generatorCpuMs() - beforeMs };
  };
  const { result, ...used } = await whileRunning(processes, timed, { watchesLoop });
  return { ...result, ...used };
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Also writes a processor profile of every node. */
function profiled(
  run: Step['run'],
  { probes, processes }: RunningQuorate,
  name: string,
  folder: string,
): (seconds: number) => Promise<Outcome> {
  return async (seconds) => {
    mkdirSync(folder, { recursive: true });
    await Promise.all(processes.map(({ pid }) => askProbe(probes, pid, { type: 'startProfile' })));
    const outcome = await run(seconds);
    const fileOf = (node: string): string =>
      join(folder, `${name}-${node}`.replaceAll(/[^\w.]+/g, '-') + '.cpuprofile');
    await Promise.all(
      processes.map((one) => askProbe(probes, one.pid, { type: 'stopProfile', file: fileOf(one.name) })),
    );
    return outcome;
  };
}
