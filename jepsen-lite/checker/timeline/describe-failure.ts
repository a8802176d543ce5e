import type { Failure } from '../check.js';
import type { Model } from '../model.js';

/** Where an order ends: the state in which the operation that fits nowhere would have had to take effect. */
export function finalState<State, Input, Output>(
  model: Model<State, Input, Output>,
  attempt: Failure<State, Input, Output>['attempts'][number],
): State {
  return attempt.length === 0 ? model.init() : attempt[attempt.length - 1].state;
}

/** A sentence for people: which operation fits nowhere, and what the object can have been at that time. */
export function describeFailure<State, Input, Output>(
  model: Model<State, Input, Output>,
  failure: Failure<State, Input, Output>,
): string {
  const stuck = failure.operations[failure.stuck];
  const operation = model.describeOperation(stuck.input, stuck.output);
  const object = failure.key === undefined ? `the ${model.name}` : `key ${JSON.stringify(failure.key)}`;
  const states = failure.attempts.map((attempt) => model.describeState(finalState(model, attempt)));
  return `client ${stuck.client}, ${operation}: no order explains it; ${object} could only be ${states.join(' or ')}`;
}
