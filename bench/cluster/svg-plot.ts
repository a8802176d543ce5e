/** A plot of lines over two logarithmic axes, as SVG. */
export interface Point {
  readonly x: number;
  readonly y: number;
  /** Stands beside the point. */
  readonly label: string;
}

export interface Line {
  readonly name: string;
  readonly color: string;
  readonly isDashed: boolean;
  readonly points: readonly Point[];
}

export interface PlotOptions {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
}

const width = 640;
const height = 400;
const margin = { left: 64, right: 24, top: 36, bottom: 48 };
const legendLineHeight = 16;

/** Numbers from 0 to 1 on a logarithmic axis that begins and ends at a power of ten, or at 2 or 5 times one. */
export interface LogAxis {
  readonly ticks: readonly number[];
  readonly place: (value: number) => number;
}

export function logAxis(values: readonly number[]): LogAxis {
  const steps = stepsAround(Math.min(...values), Math.max(...values));
  const [low, high] = [Math.log(steps[0]), Math.log(steps[steps.length - 1])];
  return { ticks: steps, place: (value) => (Math.log(value) - low) / (high - low) };
}

/** 1, 2 and 5 times powers of ten: the last at or below `low`, the first at or above `high`, and all between; two or more. */
function stepsAround(low: number, high: number): number[] {
  const all: number[] = [];
  for (let exponent = Math.floor(Math.log10(low)) - 1; exponent <= Math.ceil(Math.log10(high)) + 1; exponent++) {
    for (const factor of [1, 2, 5]) all.push(Number(`${factor}e${exponent}`));
  }
  const first = all.findLastIndex((step) => step <= low);
  const last = all.findIndex((step, i) => step >= high && i > first);
  return all.slice(first, last + 1);
}

/** Lines without points are left out; without any point there is no plot. */
export function svgPlot(lines: readonly Line[], { title, xTitle, yTitle }: PlotOptions): string {
  const drawn = lines.filter(({ points }) => points.length > 0);
  const points = drawn.flatMap((line) => line.points);
  if (points.length === 0) return '';
  const xAxis = logAxis(points.map(({ x }) => x));
  const yAxis = logAxis(points.map(({ y }) => y));
  const x = (value: number): number =>
    Math.round(margin.left + xAxis.place(value) * (width - margin.left - margin.right));
  const y = (value: number): number =>
    Math.round(height - margin.bottom - yAxis.place(value) * (height - margin.top - margin.bottom));
  const [left, right, top, bottom] = [margin.left, width - margin.right, margin.top, height - margin.bottom];
  const grid = [
    ...xAxis.ticks.map(
      (tick) =>
        `<line x1="${x(tick)}" x2="${x(tick)}" y1="${top}" y2="${bottom}" class="grid"/>` +
        `<text x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${shortNumber(tick)}</text>`,
    ),
    ...yAxis.ticks.map(
      (tick) =>
        `<line x1="${left}" x2="${right}" y1="${y(tick)}" y2="${y(tick)}" class="grid"/>` +
        `<text x="${left - 6}" y="${y(tick) + 4}" text-anchor="end">${shortNumber(tick)}</text>`,
    ),
  ];
  const curves = drawn.map(({ color, isDashed, points: own }) => {
    const path = own.map((point) => `${x(point.x)},${y(point.y)}`).join(' ');
    const dots = own.map(
      (point) =>
        `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="3.5" fill="${color}"/>` +
        `<text x="${x(point.x) + 6}" y="${y(point.y) - 6}" fill="${color}">${escapeXml(point.label)}</text>`,
    );
    const dashes = isDashed ? ' stroke-dasharray="6 4"' : '';
    return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"${dashes}/>${dots.join('')}`;
  });
  const legend = drawn.map(({ name, color, isDashed }, i) => {
    const at = height + (i + 1) * legendLineHeight;
    const dashes = isDashed ? ' stroke-dasharray="6 4"' : '';
    const sample = `<line x1="${left}" x2="${left + 28}" y1="${at - 4}" y2="${at - 4}" stroke="${color}" stroke-width="2"${dashes}/>`;
    return `${sample}<text x="${left + 36}" y="${at}">${escapeXml(name)}</text>`;
  });
  const fullHeight = height + (drawn.length + 1) * legendLineHeight;
  return [
    `<svg viewBox="0 0 ${width} ${fullHeight}" role="img" aria-label="${escapeXml(title)}">`,
    `<text x="${left}" y="20" class="title">${escapeXml(title)}</text>`,
    ...grid,
    `<text x="${(left + right) / 2}" y="${height - 10}" text-anchor="middle">${escapeXml(xTitle)}</text>`,
    `<text x="${-(top + bottom) / 2}" y="14" text-anchor="middle" transform="rotate(-90)">${escapeXml(yTitle)}</text>`,
    ...curves,
    ...legend,
    '</svg>',
  ].join('\n');
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function shortNumber(value: number): string {
  return value >= 1000 ? `${value / 1000} k` : String(value);
}
