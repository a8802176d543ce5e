import type { Failure } from '../check.js';
import type { Model } from '../model.js';
import { attemptsMax } from '../search.js';
import { shorten } from './layout.js';

const describedCharsMax = 200;

/** Where an order ends: the state in which the operation that fits nowhere would have had to take effect. */
export function finalState<State, Input, Output>(
  model: Model<State, Input, Output>,
  attempt: Failure<State, Input, Output>['attempts'][number],
): State {
  return attempt.length === 0 ? model.init() : attempt[attempt.length - 1].state;
}

/** Where the orders end, for people; the search keeps only so many, so there may be others. */
export function describePossibleStates<State, Input, Output>(
  model: Model<State, Input, Output>,
  { attempts }: Failure<State, Input, Output>,
): string[] {
  const states = attempts.map((attempt) => shorten(model.describeState(finalState(model, attempt)), describedCharsMax));
  return attempts.length < attemptsMax ? states : [...states, 'something else'];
}

/** A sentence for people: which operation fits nowhere, and what the object can have been at that time. */
export function describeFailure<State, Input, Output>(
  model: Model<State, Input, Output>,
  failure: Failure<State, Input, Output>,
): string {
  const stuck = failure.operations[failure.stuck];
  const operation = shorten(model.describeOperation(stuck.input, stuck.output), describedCharsMax);
  const object = failure.key === undefined ? `the ${model.name}` : `key ${JSON.stringify(failure.key)}`;
  return `client ${stuck.client}, ${operation}: no order explains it; ${object} could only be ${describePossibleStates(model, failure).join(' or ')}`;
}
