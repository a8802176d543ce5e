import { impossible, type Model } from '../model.js';
import { describeValue } from './describe.js';

export type AppendStringInput =
  | { readonly type: 'get' }
  | { readonly type: 'put'; readonly value: string }
  | { readonly type: 'append'; readonly value: string };

/** What a get answered; puts and appends answer nothing that could be checked. */
export type AppendStringOutput = { readonly type: 'value'; readonly value: string } | { readonly type: 'done' };

function step(
  state: string,
  input: AppendStringInput,
  output: AppendStringOutput | undefined,
): string | typeof impossible {
  switch (input.type) {
    case 'get':
      return output === undefined || (output.type === 'value' && output.value === state) ? state : impossible;
    case 'put':
      return input.value;
    case 'append':
      return state + input.value;
  }
}

function describeOperation(input: AppendStringInput, output: AppendStringOutput | undefined): string {
  const answer = output === undefined ? '?' : output.type === 'value' ? describeValue(output.value) : 'ok';
  return input.type === 'get' ? `get → ${answer}` : `${input.type} ${describeValue(input.value)} → ${answer}`;
}

/**
 * One key of a store of strings that can be appended to; absent is the empty string. Every append leaves its trace in
 * all later reads, so this finds lost, doubled and reordered writes that a register would have overwritten.
 */
export const appendStringModel: Model<string, AppendStringInput, AppendStringOutput> = {
  name: 'append-string',
  init: () => '',
  step,
  identify: (state) => state,
  identifyInput: (input) => JSON.stringify(input),
  isRead: (input) => input.type === 'get',
  describeOperation,
  describeState: describeValue,
};
