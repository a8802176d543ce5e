import type { Operation } from './history.js';

/** What {@link Model.step} answers when the object could not have given that output. */
export const impossible = Symbol('impossible');

/**
 * The sequential behaviour of one object: what it may answer when operations come one at a time.
 *
 * A model is pure: states are immutable values and nothing depends on anything but the arguments. It must be
 * deterministic: a state, an input and an output leave exactly one next state.
 *
 * A model describes a single object, and `Operation.key` says which one an operation is about: a history is
 * linearizable exactly when the part of each object is (Herlihy and Wing 1990, theorem 1), so the checker splits by
 * key and models need not know of keys.
 */
export interface Model<State, Input, Output> {
  readonly name: string;
  init(): State;
  /**
   * The state after the operation takes effect in `state`, or {@link impossible} when `output` contradicts `state`.
   * An `output` of undefined contradicts nothing.
   */
  step(state: State, input: Input, output: Output | undefined): State | typeof impossible;
  /** A value that is equal for two states exactly when they are the same state. */
  identify(state: State): string | number;
  /** A value that is equal for two inputs exactly when `step` takes them for the same. */
  identifyInput(input: Input): string | number;
  /** Whether `input` only looks. Such operations are dropped when their outcome is unknown: they constrain nothing. */
  isRead(input: Input): boolean;
  /**
   * A shorter history of one object, linearizable exactly when `history` is, by what its answers tell of operations with
   * unknown outcome: some must have taken effect by some time, some need not have taken effect. Without it, the search
   * finds out.
   */
  settleUnknown?(history: readonly Operation<Input, Output>[]): readonly Operation<Input, Output>[];
  /** For people: the operation with its answer, such as `read → "x"`. */
  describeOperation(input: Input, output: Output | undefined): string;
  /** For people: the state, such as `"x"` or `absent`. */
  describeState(state: State): string;
}
