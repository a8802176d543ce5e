/** `npm run bench -- SUITE [--quick] [--json FILE]`: measures and prints; judges nothing. */
import { writeFileSync } from 'node:fs';

import Table from 'cli-table3';
import { Argument, Command, InvalidArgumentError } from 'commander';

import { engine } from './engine.js';
import { engineOverwrite } from './engine-overwrite.js';
import { report, type Row, type SuiteOptions } from './measure.js';
import { blockCache } from './micro/block-cache.js';
import { blockReads } from './micro/block-reads.js';
import { bloom } from './micro/bloom.js';
import { compression } from './micro/compression.js';
import { keys } from './micro/keys.js';
import { memtable } from './micro/memtable.js';
import { merge } from './micro/merge.js';
import { smoke } from './smoke.js';

const suites: Readonly<Record<string, (options: SuiteOptions) => Promise<Row[]>>> = {
  smoke,
  engine,
  'engine-overwrite': engineOverwrite,
  compression,
  bloom,
  'block-cache': blockCache,
  'block-reads': blockReads,
  keys,
  memtable,
  merge,
};

const program = new Command('bench')
  .description('Runs a benchmark suite on this machine.')
  .addArgument(new Argument('<suite>', 'which').choices(Object.keys(suites)))
  .option('--quick', 'shorter runs, for a first look', false)
  .option('--keys <n>', 'keys of the data, where a suite has such', wholeNumber)
  .option('--value-bytes <n>', 'bytes of each value', wholeNumber)
  .option('--minutes <n>', 'length of the load, where a suite has such', wholeNumber)
  .option('--json <file>', 'also writes the result to a file')
  .parse();

const [name] = program.args;
const { json, ...options } = program.opts<Omit<SuiteOptions, 'progress'> & { readonly json?: string }>();
const rows = await suites[name]({ ...options, progress: (text) => process.stderr.write(`${text}\n`) });
console.log(table(rows));
if (json !== undefined) writeFileSync(json, `${JSON.stringify(report(name, rows), undefined, 2)}\n`);

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
