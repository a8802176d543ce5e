/**
 * Where everything goes in the picture of a failure, in pixels. Horizontal positions follow the order of events, not
 * their distance in time, stretched so that each operation has room for its label: what overlaps in the picture
 * overlapped in time, and nothing else does.
 */
import type { Failure } from '../check.js';
import type { Model } from '../model.js';

export interface TimelineBar {
  /** Index in the failure's operations. */
  readonly operation: number;
  /** Row, from 0 at the top. */
  readonly lane: number;
  readonly left: number;
  readonly right: number;
  readonly label: string;
}

export interface TimelineLayout {
  readonly bars: readonly TimelineBar[];
  /** The client of each row. A client with overlapping operations has several rows, next to each other. */
  readonly lanes: readonly number[];
  readonly width: number;
  /** Where the operation that fits nowhere returned. */
  readonly stuckX: number;
  /** Operations too early to be drawn; every order explains them, or leaves them open if their outcome is unknown. */
  readonly hiddenCount: number;
}

/** More would not help a reader. The last to return are drawn, and the last called of those that never did. */
const returnedBarsMax = 32;
const pendingBarsMax = 12;

const eventGap = 36;
const labelCharsMax = 26;
/** Advance of one character in the label's font, and the room around a label. */
export const charWidth = 7.3;
const labelPadding = 18;

export function layOut<State, Input, Output>(
  model: Model<State, Input, Output>,
  failure: Failure<State, Input, Output>,
): TimelineLayout {
  const { operations } = failure;
  const shown = chooseShown(failure);
  const labels = new Map(
    shown.map((index) => {
      const { input, output } = operations[index];
      return [index, shorten(model.describeOperation(input, output), labelCharsMax)];
    }),
  );
  const { left, right, width } = placeEvents(failure, labels);
  const { laneOf, lanes } = assignLanes(failure, shown);
  const bars = shown.map((operation) => ({
    operation,
    lane: laneOf.get(operation) ?? 0,
    left: left.get(operation) ?? 0,
    right: right.get(operation) ?? width,
    label: labels.get(operation) ?? '',
  }));
  const stuckX = right.get(failure.stuck) ?? width;
  return { bars, lanes, width, stuckX, hiddenCount: operations.length - shown.length };
}

/** At most `charsMax` characters: the middle gives way, since long values differ at their ends. */
export function shorten(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const head = Math.floor((charsMax - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (charsMax - 1 - head))}`;
}

const returnOf = (operation: { readonly return: number | undefined }): number => operation.return ?? Infinity;

function chooseShown({ operations, stuck }: Failure<unknown, unknown, unknown>): number[] {
  const indexes = operations.map((_, index) => index);
  const returned = indexes.filter((index) => operations[index].return !== undefined);
  const pending = indexes.filter((index) => operations[index].return === undefined);
  returned.sort((a, b) => returnOf(operations[b]) - returnOf(operations[a]));
  const shown = new Set([stuck, ...returned.slice(0, returnedBarsMax), ...pending.slice(-pendingBarsMax)]);
  return [...shown].sort((a, b) => a - b);
}

/** Walks the events of the labelled operations in order of time and gives each its place. */
function placeEvents(
  { operations }: Failure<unknown, unknown, unknown>,
  labels: ReadonlyMap<number, string>,
): { readonly left: Map<number, number>; readonly right: Map<number, number>; readonly width: number } {
  const events: { index: number; time: number; isReturn: boolean }[] = [];
  for (const index of labels.keys()) {
    const operation = operations[index];
    events.push({ index, time: operation.call, isReturn: false });
    if (operation.return !== undefined) events.push({ index, time: operation.return, isReturn: true });
  }
  // As in the search: at equal times calls come first.
  events.sort((a, b) => a.time - b.time || Number(a.isReturn) - Number(b.isReturn) || a.index - b.index);

  const left = new Map<number, number>();
  const right = new Map<number, number>();
  const roomFor = (index: number): number => (labels.get(index) ?? '').length * charWidth + labelPadding;
  let x = 0;
  let width = 0;
  for (const { index, isReturn } of events) {
    x += eventGap;
    if (isReturn) x = Math.max(x, (left.get(index) ?? 0) + roomFor(index));
    (isReturn ? right : left).set(index, x);
    width = Math.max(width, isReturn ? x : x + roomFor(index));
  }
  return { left, right, width: Math.ceil(width + eventGap) };
}

/** The first free row of its client for each operation, in order of calls. */
function assignLanes(
  { operations }: Failure<unknown, unknown, unknown>,
  shown: readonly number[],
): { readonly laneOf: Map<number, number>; readonly lanes: number[] } {
  const clients = [...new Set(shown.map((index) => operations[index].client))].sort((a, b) => a - b);
  const laneOf = new Map<number, number>();
  const lanes: number[] = [];
  for (const client of clients) {
    const firstLane = lanes.length;
    const freeFrom: number[] = [];
    for (const index of shown) {
      const operation = operations[index];
      if (operation.client !== client) continue;
      const free = freeFrom.findIndex((time) => time < operation.call);
      const row = free < 0 ? freeFrom.length : free;
      freeFrom[row] = returnOf(operation);
      laneOf.set(index, firstLane + row);
    }
    for (let row = 0; row < freeFrom.length; row++) lanes.push(client);
  }
  return { laneOf, lanes };
}
