import { describeValue } from './describe.js';

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

export function describeOperation(input: RegisterInput, output: RegisterOutput | undefined): string {
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
