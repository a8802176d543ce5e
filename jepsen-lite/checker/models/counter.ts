import { impossible, type Model } from '../model.js';

export type CounterInput = { readonly type: 'read' } | { readonly type: 'add'; readonly delta: number };

export type CounterOutput =
  /** What a read saw, or what an add left behind. */
  | { readonly type: 'value'; readonly value: number }
  /** An add took effect; the answer did not tell the sum. */
  | { readonly type: 'done' };

function step(state: number, input: CounterInput, output: CounterOutput | undefined): number | typeof impossible {
  const after = input.type === 'add' ? state + input.delta : state;
  if (output === undefined) return after;
  if (output.type === 'done') return input.type === 'add' ? after : impossible;
  return output.value === after ? after : impossible;
}

/** A number that is added to, zero at first. Finds increments that were lost or, by a careless retry, doubled. */
export const counterModel: Model<number, CounterInput, CounterOutput> = {
  name: 'counter',
  init: () => 0,
  step,
  identify: (state) => state,
  identifyInput: (input) => JSON.stringify(input),
  isRead: (input) => input.type === 'read',
  describeOperation: (input, output) => {
    const answer = output === undefined ? '?' : output.type === 'value' ? String(output.value) : 'ok';
    return `${input.type === 'read' ? 'read' : `add ${input.delta}`} → ${answer}`;
  },
  describeState: String,
};
