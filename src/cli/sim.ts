/** `npm run sim`: simulated clusters under faults, one for each seed. Exit status 0 when none failed. */
import { Command, InvalidArgumentError } from 'commander';
import { runTurns } from '../platform/turns.js';
import { systemRandomSeed } from '../platform/random.js';
import { simulate } from '../sim/run.js';
import type { SimRunResult } from '../sim/run.js';

interface Options {
  readonly seeds: number;
  readonly seed: number | undefined;
  readonly minutes: number;
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
  .option('--minutes <m>', 'simulated minutes under faults for each seed', positive, 1 / 3);

program.parse();
const { seeds, seed: firstSeed = systemRandomSeed(), minutes } = program.opts<Options>();

const startedMs = performance.now();
const summary = {
  seeds: 0,
  failed: [] as number[],
  virtualMinutes: 0,
  events: 0,
  operations: 0,
  faults: {} as Record<string, number>,
};
for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  const result = await simulate({ seed, runTurns, nowMs: () => performance.now(), faultMs: minutes * 60_000 });
  add(result);
  if (result.failure !== undefined) explain(result);
}
const seconds = Math.round(performance.now() - startedMs) / 1000;
console.log(JSON.stringify({ ...summary, virtualMinutes: Math.round(summary.virtualMinutes * 10) / 10, seconds }));
process.exitCode = summary.failed.length > 0 ? 1 : 0;

function add(result: SimRunResult): void {
  summary.seeds++;
  summary.virtualMinutes += result.virtualMs / 60_000;
  summary.events += result.events;
  summary.operations += result.operations.done;
  for (const [type, count] of Object.entries(result.faults)) summary.faults[type] = (summary.faults[type] ?? 0) + count;
  if (result.failure !== undefined) summary.failed.push(result.seed);
}

function explain(result: SimRunResult): void {
  console.log(`seed ${result.seed} failed: ${result.failure}`);
  if (seeds === 1) console.log(result.log);
  else console.log(`replay with the nodes' log: npm run sim -- --seeds 1 --seed ${result.seed} --minutes ${minutes}`);
}
