/** The suite's result as one page: what it comes to, plots of latency against throughput, and where the time went. */
import { percentile, type Report } from '../measure.js';
import { ratioOf, rounded, type Measured, type Measurement } from './results.js';
import type { Outcome, PlotPlace } from './scenario.js';
import { escapeXml, svgPlot, type Line, type PlotOptions, type Point } from './svg-plot.js';
import type { ProcessUsage } from './usage.js';

const plots: Readonly<Record<PlotPlace['plot'], PlotOptions & { readonly percentile: 'p50Ms' | 'p99Ms' }>> = {
  put: {
    title: 'Put: latency against throughput',
    xTitle: 'operations in a second (beside the points: in flight)',
    yTitle: 'p50, ms',
    percentile: 'p50Ms',
  },
  get: {
    title: 'Linearizable get: latency against throughput',
    xTitle: 'operations in a second (beside the points: in flight)',
    yTitle: 'p50, ms',
    percentile: 'p50Ms',
  },
  rate: {
    title: 'Put at a fixed rate: latency since an operation was due',
    xTitle: 'operations answered in a second (beside the points: due)',
    yTitle: 'p99, ms',
    percentile: 'p99Ms',
  },
};

const ourColors = ['#0b6e4f', '#08a045', '#6bbf59'];
const rivalColors = ['#b23a48', '#e07a5f'];

const style = `
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1400px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0; } h2 { font-size: 1.15em; margin-top: 2em; }
.machine { color: #666; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1.5em; }
svg { width: 100%; font-size: 11px; } svg .grid { stroke: #ddd; } svg .title { font-size: 14px; font-weight: 600; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2em 0.8em; text-align: right; border-bottom: 1px solid #eee; }
th:first-child, td:first-child { text-align: left; }
.better { color: #0b6e4f; font-weight: 600; } .worse { color: #b23a48; font-weight: 600; }
`;

export function htmlReport({ machine }: Report, all: readonly Measured[]): string {
  const rival = all.find(({ theirs }) => theirs.length > 0)?.rival;
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><title>Quorate: cluster benchmark</title>',
    `<style>${style}</style></head><body>`,
    `<h1>Three nodes of Quorate${rival === undefined ? '' : ` and three members of ${escapeXml(rival)}`}</h1>`,
    `<p class="machine">${escapeXml(machine.cpu)}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${escapeXml(machine.os)},`,
    `Node.js ${escapeXml(machine.node)}. All processes and the load generator share the machine; medians of the rounds.`,
    'On both sides everything has run for a while before it is measured.</p>',
    '<div class="plots">',
    ...(['put', 'get', 'rate'] as const).map((plot) => svgPlot(linesOf(plot, all), plots[plot])),
    '</div>',
    '<h2>Throughput and latency</h2>',
    throughputTable(all),
    '<h2>What the processes used</h2>',
    usageTable(all),
    '</body></html>',
    '',
  ].join('\n');
}

function linesOf(plot: PlotPlace['plot'], all: readonly Measured[]): Line[] {
  const placed = all.flatMap((measured) => {
    const { place } = measured.scenario;
    return place?.plot === plot ? [{ ...measured, place }] : [];
  });
  const names = [...new Set(placed.map(({ place }) => place.line))];
  const lineOf = (side: 'ours' | 'theirs', line: string): Point[] =>
    placed.flatMap(({ place, isBorrowed, [side]: measurements }) => {
      if (place.line !== line || measurements.length === 0 || (side === 'theirs' && isBorrowed)) return [];
      const latency = median(measurements, ({ outcome }) => outcome[plots[plot].percentile]);
      const rate = median(measurements, ({ outcome }) => outcome.perSecond);
      return Number.isNaN(latency) ? [] : [{ x: rate, y: latency, label: String(place.at) }];
    });
  const rival = placed.at(0)?.rival ?? '';
  return [
    ...names.map((name, i) => {
      const color = ourColors[i % ourColors.length];
      return { name: `Quorate, ${name}`, color, isDashed: false, points: lineOf('ours', name) };
    }),
    ...names.map((name, i) => {
      const color = rivalColors[i % rivalColors.length];
      return { name: `${rival}, ${name}`, color, isDashed: true, points: lineOf('theirs', name) };
    }),
  ];
}

function throughputTable(all: readonly Measured[]): string {
  const head = ['', 'per second', 'rival', 'ratio', 'p50 ms', 'rival', 'ratio', 'p99 ms', 'rival', 'ratio'];
  const body = all.map((measured) => [
    escapeXml(measured.scenario.name),
    ...compared(measured, ({ outcome }) => outcome.perSecond, true),
    ...compared(measured, ({ outcome }) => outcome.p50Ms, false),
    ...compared(measured, ({ outcome }) => outcome.p99Ms, false),
  ]);
  return table(head, body);
}

function compared(
  { ours, theirs }: Measured,
  of: (measurement: Measurement) => number,
  isMoreBetter: boolean,
): string[] {
  const our = median(ours, of);
  if (theirs.length === 0) return [shown(our), '', ''];
  const their = median(theirs, of);
  const { ratio } = ratioOf({ ours: our, theirs: their }, isMoreBetter);
  const colored =
    ratio === undefined ? '' : `<span class="${ratio >= 1 ? 'better' : 'worse'}">${shown(ratio)} ×</span>`;
  return [shown(our), shown(their), colored];
}

/** A row for each process, of the last round. */
function usageTable(all: readonly Measured[]): string {
  const head = ['', 'process', 'µs an operation', '% of a core', 'syncs /s', 'GC %', 'loop delay p99 ms', 'RSS MiB'];
  const cells = (one: ProcessUsage, { operations }: Outcome): string[] => [
    escapeXml(one.name),
    shown((1000 * one.cpuMs) / operations),
    shown(one.cpuPercent),
    shown(one.syncsPerSecond),
    shown(one.gcPercent),
    one.loopDelayP99Ms === undefined ? '' : shown(one.loopDelayP99Ms),
    shown(one.rssMib),
  ];
  const body = all.flatMap(({ scenario, ours, theirs, isBorrowed }) =>
    [ours.at(-1), isBorrowed ? undefined : theirs.at(-1)].flatMap((last) =>
      last === undefined ? [] : last.usage.map((one) => [escapeXml(scenario.name), ...cells(one, last.outcome)]),
    ),
  );
  return `<details><summary>All processes</summary>${table(head, body)}</details>`;
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: 'th' | 'td'): string =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return ['<table>', row(head, 'th'), ...body.map((cells) => row(cells, 'td')), '</table>'].join('\n');
}

function median(measurements: readonly Measurement[], of: (measurement: Measurement) => number): number {
  const samples = measurements.map(of).filter(Number.isFinite);
  return samples.length === 0 ? NaN : percentile(samples, 0.5);
}

function shown(figure: number): string {
  return Number.isFinite(figure) ? rounded(figure).toLocaleString('en') : '';
}
