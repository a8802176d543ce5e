import { impossible, type Model } from '../model.js';
import { describeValue } from './describe.js';

/** A value and the version of the write that made it; null where the key is absent. */
export type VersionedValue = { readonly value: string; readonly version: number } | null;

export type VersionedRegisterInput =
  | { readonly type: 'read' }
  /** Writes `value`; null deletes. */
  | { readonly type: 'write'; readonly value: string | null }
  /**
   * Writes `value` (null deletes) if the register has this version (null: if it is absent). A version must be one
   * that an answer told before; guessed versions would make the model wrong.
   */
  | { readonly type: 'cas'; readonly expectedVersion: number | null; readonly value: string | null };

export type VersionedRegisterOutput =
  /** The answer to a read. */
  | { readonly type: 'value'; readonly current: VersionedValue }
  /** The write took effect, or the condition held and it took effect, at this version. */
  | { readonly type: 'written'; readonly version: number }
  /** The condition did not hold: the register had `current`. */
  | { readonly type: 'refused'; readonly current: VersionedValue };

/**
 * Versions grow with every write. That of a write whose answer was lost is not known (`exact` false): it is above
 * `version`, the last one known, and the first answer to tell it makes it exact.
 */
export interface VersionedRegisterState {
  readonly value: string | null;
  readonly version: number;
  readonly exact: boolean;
}

/** The state after something was seen to be `current`, or impossible. */
function see(state: VersionedRegisterState, current: VersionedValue): VersionedRegisterState | typeof impossible {
  if (current === null) return state.value === null ? state : impossible;
  if (current.value !== state.value) return impossible;
  if (state.exact) return current.version === state.version ? state : impossible;
  return current.version > state.version ? { ...state, version: current.version, exact: true } : impossible;
}

function write(
  state: VersionedRegisterState,
  value: string | null,
  output: VersionedRegisterOutput | undefined,
): VersionedRegisterState | typeof impossible {
  if (output === undefined) return { value, version: state.version, exact: false };
  if (output.type !== 'written' || output.version <= state.version) return impossible;
  return { value, version: output.version, exact: true };
}

/** An inexact version was told to nobody yet, so nobody can expect it. */
function matches(state: VersionedRegisterState, expectedVersion: number | null): boolean {
  if (expectedVersion === null || state.value === null) return expectedVersion === null && state.value === null;
  return state.exact && state.version === expectedVersion;
}

function step(
  state: VersionedRegisterState,
  input: VersionedRegisterInput,
  output: VersionedRegisterOutput | undefined,
): VersionedRegisterState | typeof impossible {
  switch (input.type) {
    case 'read':
      if (output === undefined) return state;
      return output.type === 'value' ? see(state, output.current) : impossible;
    case 'write':
      return write(state, input.value, output);
    case 'cas':
      if (matches(state, input.expectedVersion)) return write(state, input.value, output);
      if (output === undefined) return state;
      return output.type === 'refused' ? see(state, output.current) : impossible;
  }
}

const describeVersioned = (current: VersionedValue): string =>
  current === null ? 'absent' : `${describeValue(current.value)} v${current.version}`;

function describeOutput(output: VersionedRegisterOutput): string {
  switch (output.type) {
    case 'value':
      return describeVersioned(output.current);
    case 'written':
      return `ok v${output.version}`;
    case 'refused':
      return `refused, has ${describeVersioned(output.current)}`;
  }
}

function describeOperation(input: VersionedRegisterInput, output: VersionedRegisterOutput | undefined): string {
  const answer = output === undefined ? '?' : describeOutput(output);
  switch (input.type) {
    case 'read':
      return `read → ${answer}`;
    case 'write':
      return input.value === null ? `delete → ${answer}` : `write ${describeValue(input.value)} → ${answer}`;
    case 'cas': {
      const expected = input.expectedVersion === null ? 'absent' : `v${input.expectedVersion}`;
      return `cas ${expected} to ${describeValue(input.value)} → ${answer}`;
    }
  }
}

/**
 * One key of a store whose writes answer a version, and whose conditions name one. Absent at first. Checks, besides
 * the values, that versions grow in the order in which the writes took effect and that reads tell the right one.
 */
export const versionedRegisterModel: Model<VersionedRegisterState, VersionedRegisterInput, VersionedRegisterOutput> = {
  name: 'versioned register',
  init: () => ({ value: null, version: 0, exact: true }),
  step,
  identify: ({ value, version, exact }) => `${exact ? '=' : '>'}${version}${value === null ? '' : `:${value}`}`,
  identifyInput: (input) => JSON.stringify(input),
  isRead: (input) => input.type === 'read',
  describeOperation,
  describeState: ({ value, version, exact }) =>
    value === null ? 'absent' : `${describeValue(value)} ${exact ? `v${version}` : `later than v${version}`}`,
};
