/** From what was measured to rows: medians of the rounds, and ratios. Pure. */
import { percentile, type Row } from '../measure.js';
import type { Outcome, Scenario } from './scenario.js';
import type { ProcessUsage } from './usage.js';

/** One scenario in one round on one side. */
export interface Measurement {
  readonly outcome: Outcome;
  readonly usage: readonly ProcessUsage[];
  readonly diskWrittenBytes: number | undefined;
  /** Processor time of what made the load. */
  readonly generatorCpuMs: number;
}

/** A scenario with what its rounds gave, in the order of time. */
export interface Measured {
  readonly scenario: Pick<Scenario, 'part' | 'name' | 'unit' | 'place'>;
  readonly ours: readonly Measurement[];
  /** None where the rival is not installed. */
  readonly theirs: readonly Measurement[];
  readonly rival: string;
  /** The rival's side is that of another scenario. */
  readonly isBorrowed: boolean;
}

interface Figure {
  readonly suffix: string;
  readonly unit: string;
  readonly isMoreBetter?: boolean;
  /** Only in the file. */
  readonly isDetail?: boolean;
  readonly of: (measurement: Measurement) => number | undefined;
}

/** Of what made the load, which is not the same on both sides where the rival's figures are borrowed. */
const generatorFigure: Figure = {
  suffix: ', generator: processor time',
  unit: 'µs/operation',
  isDetail: true,
  of: ({ outcome, generatorCpuMs }) => (1000 * generatorCpuMs) / outcome.operations,
};

const total = (usage: readonly ProcessUsage[], of: (one: ProcessUsage) => number): number =>
  usage.reduce((sum, one) => sum + of(one), 0);

/** Of all processes together. */
const figures: readonly Figure[] = [
  { suffix: ', p50', unit: 'ms', of: ({ outcome }) => outcome.p50Ms },
  { suffix: ', p99', unit: 'ms', of: ({ outcome }) => outcome.p99Ms },
  { suffix: ', p99.9', unit: 'ms', isDetail: true, of: ({ outcome }) => outcome.p999Ms },
  {
    suffix: ', processor time of all nodes',
    unit: 'µs/operation',
    of: ({ outcome, usage }) => (1000 * total(usage, ({ cpuMs }) => cpuMs)) / outcome.operations,
  },
  {
    suffix: ', written by the disk for each byte of keys and values',
    unit: 'B',
    isDetail: true,
    of: ({ outcome: { payloadBytes }, diskWrittenBytes }) =>
      payloadBytes === 0 || diskWrittenBytes === undefined ? undefined : diskWrittenBytes / payloadBytes,
  },
  { suffix: ', lost', unit: 'operations', of: ({ outcome }) => outcome.lost },
];

/** Of one process. */
const processFigures: readonly (Omit<Figure, 'of'> & {
  readonly of: (usage: ProcessUsage, outcome: Outcome) => number | undefined;
})[] = [
  { suffix: 'processor time', unit: 'µs/operation', of: ({ cpuMs }, { operations }) => (1000 * cpuMs) / operations },
  { suffix: 'processor', unit: '% of a core', of: ({ cpuPercent }) => cpuPercent },
  { suffix: 'syncs', unit: '/s', of: ({ syncsPerSecond }) => syncsPerSecond },
  { suffix: 'garbage collection', unit: '% of the time', of: ({ gcPercent }) => gcPercent },
  { suffix: 'delay of the event loop, p99', unit: 'ms', of: ({ loopDelayP99Ms }) => loopDelayP99Ms },
  { suffix: 'longest delay of the event loop', unit: 'ms', of: ({ loopDelayMsMax }) => loopDelayMsMax },
  { suffix: 'RSS', unit: 'MiB', of: ({ rssMib }) => rssMib },
];

export function rowsOf(measured: Measured): Row[] {
  const { scenario, ours, isBorrowed } = measured;
  const rate: Figure = {
    suffix: '',
    unit: scenario.unit,
    isMoreBetter: true,
    of: ({ outcome }) => outcome.perSecond,
  };
  const rows = [rate, ...figures].flatMap((figure) => rowOf(measured, figure));
  const withoutBorrowed = isBorrowed ? { ...measured, theirs: [] } : measured;
  rows.push(...rowOf(withoutBorrowed, generatorFigure));
  const nodes = ours.at(0)?.usage.length ?? 0;
  for (let i = 0; i < nodes; i++) {
    for (const { of, suffix, unit } of processFigures) {
      const figure: Figure = {
        suffix: `, process ${i + 1}: ${suffix}`,
        unit,
        isDetail: true,
        of: ({ usage, outcome }) => of(usage[i], outcome),
      };
      rows.push(...rowOf(withoutBorrowed, figure));
    }
  }
  return rows;
}

function rowOf({ scenario, ours, theirs, rival }: Measured, figure: Figure): Row[] {
  const samples = valuesOf(ours, figure);
  if (samples.length === 0) return [];
  const detail = figure.isDetail === true ? { isDetail: true } : {};
  const row: Row = {
    name: scenario.name + figure.suffix,
    unit: figure.unit,
    ours: rounded(percentile(samples, 0.5)),
    ...(samples.length > 1 ? { samples: samples.map(rounded) } : {}),
    ...detail,
  };
  const rivalSamples = valuesOf(theirs, figure);
  if (rivalSamples.length === 0) return [row];
  const compared = { ours: percentile(samples, 0.5), theirs: percentile(rivalSamples, 0.5) };
  return [
    {
      ...row,
      rival,
      theirs: rounded(compared.theirs),
      ...ratioOf(compared, figure.isMoreBetter === true),
      ...(rivalSamples.length > 1 ? { theirSamples: rivalSamples.map(rounded) } : {}),
    },
  ];
}

/** Without those that there are none of, as for each operation where none was done. */
function valuesOf(measurements: readonly Measurement[], { of }: Figure): number[] {
  return measurements.map(of).filter((value): value is number => value !== undefined && Number.isFinite(value));
}

/** Of our side: what users get unless they ask for another number. */
export function shardsRow(shards: number): Row {
  return { name: 'shards', unit: 'shards', ours: shards, isDetail: true };
}

/** Above 1: ours is better. None where one of them is zero, or there is none. */
export function ratioOf(
  { ours, theirs }: { readonly ours: number; readonly theirs: number },
  isMoreBetter: boolean,
): { readonly ratio?: number } {
  if (!(ours > 0 && theirs > 0)) return {};
  return { ratio: rounded(isMoreBetter ? ours / theirs : theirs / ours) };
}

/** To three digits; whole numbers from 1000 on. */
export function rounded(figure: number): number {
  return figure >= 1000 ? Math.round(figure) : Number(figure.toPrecision(3));
}
