/** `npm run bench -- SUITE [--quick] [--json FILE]`: measures and prints; judges nothing. */
import { writeFileSync } from 'node:fs';

import Table from 'cli-table3';
import { Argument, Command, InvalidArgumentError } from 'commander';

import { cluster } from './cluster/suite.js';
import { engine } from './engine.js';
import { engineOpen } from './engine-open.js';
import { engineOverwrite } from './engine-overwrite.js';
import { idleGroups } from './idle-groups.js';
import { leaderKills } from './leader-kills.js';
import { report, type Row, type SuiteOptions } from './measure.js';
import { blockCache } from './micro/block-cache.js';
import { blockReads } from './micro/block-reads.js';
import { bloom } from './micro/bloom.js';
import { compression } from './micro/compression.js';
import { keys } from './micro/keys.js';
import { largeValues } from './micro/large-values.js';
import { logAppend } from './micro/log-append.js';
import { memtable } from './micro/memtable.js';
import { merge } from './micro/merge.js';
import { smoke } from './smoke.js';
import { snapshotCatchUp } from './snapshot-catch-up.js';

const suites: Readonly<Record<string, (options: SuiteOptions) => Promise<Row[]>>> = {
  smoke,
  cluster,
  engine,
  'engine-open': engineOpen,
  'engine-overwrite': engineOverwrite,
  'idle-groups': idleGroups,
  'leader-kills': leaderKills,
  'snapshot-catch-up': snapshotCatchUp,
  compression,
  bloom,
  'block-cache': blockCache,
  'block-reads': blockReads,
  keys,
  'large-values': largeValues,
  'log-append': logAppend,
  memtable,
  merge,
};

interface Options extends Omit<SuiteOptions, 'progress' | 'valueBytes'> {
  readonly valueBytes?: readonly (number | undefined)[];
  readonly json?: string;
}

const program = new Command('bench')
  .description('Runs a benchmark suite on this machine.')
  .addArgument(new Argument('<suite>', 'which').choices(Object.keys(suites)))
  .option('--quick', 'shorter runs, for a first look', false)
  .option('--keys <n>', 'keys of the data, where a suite has such', wholeNumber)
  .option('--value-bytes <n,…>', 'bytes of each value; of several sizes, one after the other', wholeNumbers)
  .option(
    '--large-value-bytes-min <n>',
    'values from this size on in value files, where a suite has a tree',
    wholeNumber,
  )
  .option('--gigabytes <n>', 'size of the data, where a suite has such', wholeNumber)
  .option('--minutes <n>', 'length of the load, where a suite has such', wholeNumber)
  .option('--kills <n>', 'leaders that are killed, where a suite kills some', wholeNumber)
  .option('--only <part,…>', 'parts of the suite, where it has such', (text) => text.split(','))
  .option('--sustained <minutes>', 'load for so long on data beyond the caches, where a suite has such', wholeNumber)
  .option('--profile <folder>', 'also writes processor profiles of the nodes, where a suite has such')
  .option('--html <file>', 'also writes a page with plots, where a suite has such')
  .option('--json <file>', 'also writes the result to a file')
  .parse();

const [name] = program.args;
const { json, valueBytes: sizes = [undefined], ...options } = program.opts<Options>();
const rows: Row[] = [];
for (const valueBytes of sizes) {
  const progress = (text: string): boolean => process.stderr.write(`${text}\n`);
  try {
    rows.push(...(await suites[name]({ ...options, valueBytes, progress })));
  } catch (error) {
    if (error instanceof InvalidArgumentError) program.error(`error: ${error.message}`);
    throw error;
  }
}
console.log(table(rows.filter(({ isDetail }) => isDetail !== true)));
if (json !== undefined) writeFileSync(json, `${JSON.stringify(report(name, rows), undefined, 2)}\n`);

function wholeNumbers(text: string): number[] {
  return text.split(',').map(wholeNumber);
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('Expected a whole number, at least 1.');
  return number;
}

function table(all: readonly Row[]): string {
  const drawn = new Table({
    head: ['what', 'ours', 'unit', 'rival', 'theirs', 'ratio'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'left', 'left', 'right', 'right'],
  });
  for (const { name: what, unit, ours, rival = '', theirs, ratio } of all) {
    drawn.push([what, shown(ours), unit, rival, shown(theirs), shown(ratio)]);
  }
  return drawn.toString();
}

function shown(figure: number | undefined): string {
  return figure === undefined ? '' : figure.toLocaleString('en');
}
