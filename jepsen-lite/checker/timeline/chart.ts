import type { Failure } from '../check.js';
import type { Model } from '../model.js';
import { escapeHtml } from './escape.js';
import { charWidth, shorten, type TimelineBar, type TimelineLayout } from './layout.js';
import type { PathPoint, StateSpan, TimelinePath } from './path.js';

const laneHeight = 46;
const barTop = 8;
const barHeight = 25;
const stateTop = 26;
const stateHeight = 24;
/** Above the rows of clients: the label of the wall, and the row of states. */
const lanesTop = stateTop + stateHeight + 12;
const clientsWidth = 92;
/** A state shortened to less than this says nothing. */
const shortenedCharsMin = 8;
const laneTop = (lane: number): number => lanesTop + lane * laneHeight;

/** The picture: clients as rows, operations as bars, for each order its path and states, and where all get stuck. */
export function chart<State, Input, Output>(
  model: Model<State, Input, Output>,
  failure: Failure<State, Input, Output>,
  layout: TimelineLayout,
  paths: readonly TimelinePath[],
): string {
  const height = laneTop(layout.lanes.length) + 10;
  return `<div class="chart">
<svg width="${clientsWidth}" height="${height}" role="presentation">
<text class="client" x="14" y="${stateTop + 16}">state</text>
${clientNames(layout)}
</svg>
<div class="scroll"><svg width="${layout.width}" height="${height}" role="img" aria-label="Timeline of operations">
${layout.lanes.map((_, lane) => stripe(lane, layout.width)).join('\n')}
${wall(layout, height)}
${layout.bars.map((bar) => drawBar(model, failure, bar)).join('\n')}
${paths.map((path, index) => drawPath(path, index)).join('\n')}
</svg></div>
</div>`;
}

function clientNames({ lanes }: TimelineLayout): string {
  return lanes
    .map((client, lane) => {
      if (lane > 0 && lanes[lane - 1] === client) return '';
      return `<text class="client" x="14" y="${laneTop(lane) + barTop + 17}">client ${client}</text>`;
    })
    .join('');
}

const stripe = (lane: number, width: number): string =>
  lane % 2 === 1 ? '' : `<rect class="stripe" x="0" y="${laneTop(lane)}" width="${width}" height="${laneHeight}"/>`;

function wall({ stuckX, width }: TimelineLayout, height: number): string {
  const text = 'no order gets past here';
  const x = round(stuckX);
  const fitsRight = x + 8 + text.length * charWidth < width;
  const label = fitsRight ? `x="${x + 8}"` : `x="${x - 8}" text-anchor="end"`;
  return `<line class="wall" x1="${x}" y1="4" x2="${x}" y2="${height}"/>
<text class="wall-label" ${label} y="16">${text}</text>`;
}

function drawBar<State, Input, Output>(
  model: Model<State, Input, Output>,
  failure: Failure<State, Input, Output>,
  bar: TimelineBar,
): string {
  const operation = failure.operations[bar.operation];
  const classes = ['bar'];
  if (model.isRead(operation.input)) classes.push('read');
  if (operation.return === undefined) classes.push('pending');
  if (bar.operation === failure.stuck) classes.push('stuck');
  const y = laneTop(bar.lane) + barTop;
  const described = `client ${operation.client}: ${model.describeOperation(operation.input, operation.output)}`;
  return (
    `<g class="${classes.join(' ')}" id="bar${bar.operation}" tabindex="0" aria-label="${escapeHtml(described)}">` +
    `<rect x="${round(bar.left)}" y="${y}" width="${round(bar.right - bar.left)}" height="${barHeight}" rx="4"/>` +
    `<text x="${round(bar.left + 8)}" y="${y + 16}">${escapeHtml(bar.label)}</text></g>`
  );
}

function drawPath(path: TimelinePath, index: number): string {
  const line = path.points.map((point) => `${round(point.x)},${pointY(point)}`).join(' ');
  return `<g class="path path${index}"><polyline points="${line}"/>
${path.states.map(drawState).join('')}
${path.points.map(drawPoint).join('')}</g>`;
}

/** On the lower edge of the bar, so that the label stays readable. */
const pointY = (point: PathPoint): number => laneTop(point.bar.lane) + barTop + barHeight + 1;

function drawPoint(point: PathPoint): string {
  const y = pointY(point);
  return `<circle cx="${round(point.x)}" cy="${y}" r="8"/><text class="order" x="${round(point.x)}" y="${y + 3.4}">${point.order}</text>`;
}

function drawState({ state, left, right }: StateSpan): string {
  const chars = Math.floor((right - left - 8) / charWidth);
  const text = state.length <= chars || chars >= shortenedCharsMin ? escapeHtml(shorten(state, chars)) : '';
  return (
    `<rect class="state" x="${round(left)}" y="${stateTop}" width="${round(right - left)}" height="${stateHeight}"/>` +
    `<text x="${round(left + 5)}" y="${stateTop + 16}">${text}</text>`
  );
}

const round = (value: number): number => Math.round(value * 10) / 10;
