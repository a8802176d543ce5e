import type { Failure } from '../check.js';
import type { Model } from '../model.js';
import type { TimelineBar, TimelineLayout } from './layout.js';

/** An operation that took effect, and where on its bar that is drawn. */
export interface PathPoint {
  readonly bar: TimelineBar;
  /** Place in the order, from 1, among the operations that are drawn. */
  readonly order: number;
  readonly x: number;
  readonly stateAfter: string;
}

/** The object was in `state` from `left` to `right`. */
export interface StateSpan {
  readonly state: string;
  readonly left: number;
  readonly right: number;
}

/** One order of operations, drawn: points from left to right, and the states between them. */
export interface TimelinePath {
  readonly points: readonly PathPoint[];
  readonly states: readonly StateSpan[];
  readonly finalState: string;
}

const pointGap = 36;
/** Half the least distance of two events: so far from its call and its return a point stays. */
const eventMargin = 18;

/** Places the points of an order on the bars of `layout`, each within its bar, none left of the one before. */
export function placePath<State, Input, Output>(
  model: Model<State, Input, Output>,
  attempt: Failure<State, Input, Output>['attempts'][number],
  layout: TimelineLayout,
): TimelinePath {
  const barOf = new Map(layout.bars.map((bar) => [bar.operation, bar]));
  const latest = latestPlaces(attempt, barOf, layout.width);

  const points: PathPoint[] = [];
  const states: StateSpan[] = [];
  let state = model.describeState(model.init());
  let stateLeft = 0;
  let x = -pointGap;
  attempt.forEach((step, position) => {
    const bar = barOf.get(step.operation);
    const stateAfter = model.describeState(step.state);
    if (bar !== undefined) x = Math.min(Math.max(x + pointGap, bar.left + eventMargin), latest[position]);
    if (stateAfter !== state) {
      const changeX = Math.max(x, 0);
      if (changeX > stateLeft) states.push({ state, left: stateLeft, right: changeX });
      state = stateAfter;
      stateLeft = changeX;
    }
    if (bar !== undefined) points.push({ bar, order: points.length + 1, x, stateAfter });
  });
  states.push({ state, left: stateLeft, right: Math.max(layout.stuckX, stateLeft + pointGap) });
  return { points, states, finalState: state };
}

/** The rightmost place of each step that leaves room for all later ones to take effect before they return. */
function latestPlaces(
  attempt: readonly { readonly operation: number }[],
  barOf: ReadonlyMap<number, TimelineBar>,
  width: number,
): number[] {
  const latest = new Array<number>(attempt.length);
  let limit = width;
  for (let position = attempt.length - 1; position >= 0; position--) {
    const bar = barOf.get(attempt[position].operation);
    if (bar !== undefined) limit = Math.min(limit, bar.right - eventMargin);
    latest[position] = limit;
  }
  return latest;
}
