/** `npm run sim` as it is built: seeds over threads. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { run } from './support.js';

const program = fileURLToPath(new URL('../../dist/src/cli/sim.js', import.meta.url));

interface Line {
  readonly seeds: number;
  readonly failed: number[];
  readonly jobs: number;
  readonly traceHash: string;
}

async function simulate(...options: readonly string[]): Promise<Line> {
  const { stdout, stderr, status } = await run(process.execPath, [program, '--minutes', '0.02', ...options]);
  expect(status, stderr).toBe(0);
  const lines = stdout.toString().trim().split('\n');
  return JSON.parse(lines[lines.length - 1]) as Line;
}

test('seeds have the same traces however many threads they run in', async () => {
  const seeds = ['--seeds', '3', '--seed', '1'];
  const together = await simulate(...seeds, '--jobs', '2');
  expect(together).toMatchObject({ seeds: 3, failed: [], jobs: 2 });
  const oneByOne = await simulate(...seeds, '--jobs', '1');
  expect(oneByOne).toEqual({ ...together, ...costOf(oneByOne) });
  expect((await simulate('--seeds', '3', '--seed', '2', '--jobs', '2')).traceHash).not.toBe(together.traceHash);
}, 120_000);

/** What depends on the machine and not on the seeds. */
function costOf(line: object): object {
  const names = ['jobs', 'seconds', 'cpuSeconds', 'virtualSecondsPerCpuSecond'];
  return Object.fromEntries(Object.entries(line).filter(([name]) => names.includes(name)));
}
