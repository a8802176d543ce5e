import { impossible, type Model } from '../model.js';
import { describeValue } from './describe.js';
import { settleUnknownWrites } from './register-unknowns.js';

/** A value, or null where the key is absent (a deleted or never written key; `nil` in Jepsen's register). */
export type RegisterValue = string | null;

export type RegisterInput =
  | { readonly type: 'read' }
  | { readonly type: 'write'; readonly value: string }
  | { readonly type: 'delete' }
  /** Writes `value` (null deletes) if the register has `expected` (null: if it is absent). */
  | { readonly type: 'cas'; readonly expected: RegisterValue; readonly value: RegisterValue };

export type RegisterOutput =
  /** The answer to a read. */
  | { readonly type: 'value'; readonly value: RegisterValue }
  /** A write, a delete or a compare-and-set took effect. A delete may say this of an absent key, too. */
  | { readonly type: 'done' }
  /** A delete found the key absent. */
  | { readonly type: 'nothingDeleted' }
  /** A compare-and-set found something else than it expected: `current`, where the answer told. */
  | { readonly type: 'refused'; readonly current?: RegisterValue };

function step(
  state: RegisterValue,
  input: RegisterInput,
  output: RegisterOutput | undefined,
): RegisterValue | typeof impossible {
  switch (input.type) {
    case 'read':
      return output === undefined || (output.type === 'value' && output.value === state) ? state : impossible;
    case 'write':
      return output === undefined || output.type === 'done' ? input.value : impossible;
    case 'delete':
      if (output === undefined || output.type === 'done') return null;
      return output.type === 'nothingDeleted' && state === null ? null : impossible;
    case 'cas': {
      const matches = state === input.expected;
      if (output === undefined) return matches ? input.value : state;
      if (output.type === 'done') return matches ? input.value : impossible;
      if (output.type !== 'refused' || matches) return impossible;
      return output.current === undefined || output.current === state ? state : impossible;
    }
  }
}

function describeOperation(input: RegisterInput, output: RegisterOutput | undefined): string {
  const answer = output === undefined ? '?' : describeOutput(output);
  switch (input.type) {
    case 'read':
      return `read → ${answer}`;
    case 'write':
      return `write ${describeValue(input.value)} → ${answer}`;
    case 'delete':
      return `delete → ${answer}`;
    case 'cas':
      return `cas ${describeValue(input.expected)} to ${describeValue(input.value)} → ${answer}`;
  }
}

function describeOutput(output: RegisterOutput): string {
  switch (output.type) {
    case 'value':
      return describeValue(output.value);
    case 'done':
      return 'ok';
    case 'nothingDeleted':
      return 'nothing deleted';
    case 'refused':
      return output.current === undefined ? 'refused' : `refused, has ${describeValue(output.current)}`;
  }
}

/** One key of a store: read, write, delete, compare-and-set by value. Absent at first. */
export const registerModel: Model<RegisterValue, RegisterInput, RegisterOutput> = {
  name: 'register',
  init: () => null,
  step,
  identify: (state) => (state === null ? 'absent' : `=${state}`),
  identifyInput: (input) => JSON.stringify(input),
  isRead: (input) => input.type === 'read',
  settleUnknown: settleUnknownWrites,
  describeOperation,
  describeState: describeValue,
};
