/** `npm run sim`: simulated clusters under faults, one for each seed. Exit status 0 when none failed. */
import { createHash } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { runTurns } from '../platform/turns.js';
import { systemRandomSeed } from '../platform/random.js';
import { simulate } from '../sim/run.js';
import type { SimRunResult } from '../sim/run.js';
import { Summary } from '../sim/summary.js';

interface Options {
  readonly seeds: number;
  readonly seed: number | undefined;
  readonly minutes: number;
  readonly each: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0.');
  return value;
}

const program = new Command('sim')
  .description('Runs simulated clusters under faults and checks what their clients saw.')
  .option('--seeds <n>', 'how many seeds to run', positive, 10)
  .option('--seed <s>', 'the first seed; the others follow it (default: random)', positive)
  .option('--minutes <m>', 'simulated minutes under faults for each seed', positive, 1 / 3)
  .option('--each', 'print a line of JSON for each seed', false);

program.parse();
const { seeds, seed: firstSeed = systemRandomSeed(), minutes, each } = program.opts<Options>();

const startedMs = performance.now();
const startedCpu = process.cpuUsage();
const traces = createHash('sha256');
const summary = new Summary();
for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  const seedStartedMs = performance.now();
  const result = await simulate({ seed, runTurns, nowMs: () => performance.now(), faultMs: minutes * 60_000 });
  summary.add(result);
  traces.update(result.traceHash);
  if (each) show(result, performance.now() - seedStartedMs);
  if (result.failure !== undefined) explain(result);
}
conclude();

function conclude(): void {
  const { virtualMs, ...sums } = summary;
  const { neverMet, isGood } = summary;
  if (sums.failed.length === 0 && !isGood) console.log(`never met in ${seeds} seeds: ${neverMet.join(', ')}`);
  const { user, system } = process.cpuUsage(startedCpu);
  const cpuSeconds = (user + system) / 1e6;
  const line = {
    ...sums,
    neverMet,
    virtualMinutes: round(virtualMs / 60_000),
    virtualHours: round(virtualMs / 3_600_000),
    // Over the traces of all seeds: equal for equal seeds, minutes and code.
    traceHash: traces.digest('hex').slice(0, 16),
    seconds: round((performance.now() - startedMs) / 1000),
    cpuSeconds: round(cpuSeconds),
    virtualSecondsPerCpuSecond: round(virtualMs / 1000 / cpuSeconds),
  };
  console.log(JSON.stringify(line));
  process.exitCode = isGood ? 0 : 1;
}

function show(result: SimRunResult, tookMs: number): void {
  const { seed, failure, traceHash, virtualMs, events, operations, faults, coverage } = result;
  const line = { seed, ok: failure === undefined, traceHash, virtualMs: Math.round(virtualMs), events, operations };
  const met = { faults: happened(faults), coverage: happened(coverage) };
  console.log(JSON.stringify({ ...line, ...met, seconds: round(tookMs / 1000) }));
}

function happened(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

/** What the seed has drawn is shown to be read; seed, minutes and commit are enough to replay. */
function explain(result: SimRunResult): void {
  console.log(`seed ${result.seed} failed: ${result.failure}`);
  console.log(`its plan: ${JSON.stringify(result.plan)}`);
  if (seeds === 1) console.log(result.log);
  else console.log(`replay with the nodes' log: npm run sim -- --seeds 1 --seed ${result.seed} --minutes ${minutes}`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
