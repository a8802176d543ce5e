/** `npm run sim`: simulated clusters under faults, one for each seed. Exit status 0 when none failed. */
import { createHash } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { runTurns } from '../platform/turns.js';
import { systemRandomSeed } from '../platform/random.js';
import { simulate } from '../sim/run.js';
import type { SimRunResult } from '../sim/run.js';

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
const traces = createHash('sha256');
const summary = {
  seeds: 0,
  failed: [] as number[],
  virtualMinutes: 0,
  events: 0,
  operations: {} as Record<string, number>,
  faults: {} as Record<string, number>,
};
for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  const seedStartedMs = performance.now();
  const result = await simulate({ seed, runTurns, nowMs: () => performance.now(), faultMs: minutes * 60_000 });
  add(result);
  if (each) show(result, performance.now() - seedStartedMs);
  if (result.failure !== undefined) explain(result);
}
console.log(
  JSON.stringify({
    ...summary,
    virtualMinutes: round(summary.virtualMinutes),
    // Over the traces of all seeds: equal for equal seeds, minutes and code.
    traceHash: traces.digest('hex').slice(0, 16),
    seconds: round((performance.now() - startedMs) / 1000),
  }),
);
process.exitCode = summary.failed.length > 0 ? 1 : 0;

function add(result: SimRunResult): void {
  summary.seeds++;
  summary.virtualMinutes += result.virtualMs / 60_000;
  summary.events += result.events;
  addAll(summary.operations, result.operations);
  addAll(summary.faults, result.faults);
  traces.update(result.traceHash);
  if (result.failure !== undefined) summary.failed.push(result.seed);
}

function addAll(sums: Record<string, number>, counts: object): void {
  for (const [name, count] of Object.entries(counts) as [string, number][]) sums[name] = (sums[name] ?? 0) + count;
}

function show({ seed, traceHash, virtualMs, events, operations, faults, failure }: SimRunResult, tookMs: number): void {
  const happened = Object.fromEntries(Object.entries(faults).filter(([, count]) => count > 0));
  const line = { seed, ok: failure === undefined, traceHash, virtualMs: Math.round(virtualMs), events, operations };
  console.log(JSON.stringify({ ...line, faults: happened, seconds: round(tookMs / 1000) }));
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
