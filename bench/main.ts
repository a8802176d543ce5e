/** `npm run bench -- SUITE [--quick] [--json FILE]`: measures and prints; judges nothing. */
import { writeFileSync } from 'node:fs';

import Table from 'cli-table3';
import { Argument, Command } from 'commander';

import { report, type Row } from './measure.js';
import { blockCache } from './micro/block-cache.js';
import { bloom } from './micro/bloom.js';
import { compression } from './micro/compression.js';
import { keys } from './micro/keys.js';
import { memtable } from './micro/memtable.js';
import { smoke } from './smoke.js';

const suites: Readonly<Record<string, typeof smoke>> = {
  smoke,
  compression,
  bloom,
  'block-cache': blockCache,
  keys,
  memtable,
};

const program = new Command('bench')
  .description('Runs a benchmark suite on this machine.')
  .addArgument(new Argument('<suite>', 'which').choices(Object.keys(suites)))
  .option('--quick', 'shorter runs, for a first look', false)
  .option('--json <file>', 'also writes the result to a file')
  .parse();

const [name] = program.args;
const { quick, json } = program.opts<{ quick: boolean; json?: string }>();
const rows = await suites[name]({ quick, progress: (text) => process.stderr.write(`${text}\n`) });
console.log(table(rows));
if (json !== undefined) writeFileSync(json, `${JSON.stringify(report(name, rows), undefined, 2)}\n`);

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
