/**
 * Checks whether a history is linearizable: each operation seems to take effect at one instant between its call and
 * its return. This file is the checker's public face; see README.md for how to choose a model and read the answer.
 */
import { HistoryError, type Operation } from './history.js';
import type { Model } from './model.js';
import { searchLinearization, type LinearizedStep, type SearchBudget, type SearchResult } from './search.js';

export type Verdict = 'linearizable' | 'notLinearizable' | 'unknown';

export interface CheckOptions<State, Input, Output> {
  readonly model: Model<State, Input, Output>;
  readonly history: readonly Operation<Input, Output>[];
  /** How long the whole check may take, in milliseconds of `now`. Default 60 000. */
  readonly timeMsMax?: number;
  /**
   * How many (operations, state) pairs the search of one key may remember; about 100 bytes each, not counting
   * what the model's states take. Default 4 194 304.
   */
  readonly memoEntriesMax?: number;
  /** A clock in milliseconds, for `timeMsMax` only: verdicts other than `unknown` do not depend on it. */
  readonly now: () => number;
}

/** The verdict on the operations of one key. */
export interface PartitionResult {
  readonly key: string | undefined;
  /** Operations that were checked: reads with unknown outcome are dropped before. */
  readonly operationCount: number;
  readonly verdict: Verdict;
  /** Which cap ended the search; only with `unknown`. */
  readonly reason?: 'time' | 'memory';
}

/** The smallest part of the history that has no linearization, cut after the return that made it so. */
export interface Failure<State, Input, Output> {
  readonly key: string | undefined;
  /** What was called until `stuck` returned, in order of calls. */
  readonly operations: readonly Operation<Input, Output>[];
  /** Index in `operations` of the one that fits nowhere. Until just before its return, the part is linearizable. */
  readonly stuck: number;
  /**
   * Orders that explain everything that returned before `stuck`, longest first, each with another state at its end:
   * these are (the first eight of) all the states that `stuck` could have met, and none allows it.
   */
  readonly attempts: readonly (readonly LinearizedStep<State>[])[];
}

export interface CheckResult<State, Input, Output> {
  /** `notLinearizable` if any key is, else `unknown` if any key is. `unknown` is not a pass. */
  readonly verdict: Verdict;
  /** One for each key, smallest first. */
  readonly partitions: readonly PartitionResult[];
  /** Present exactly when the verdict is `notLinearizable`. */
  readonly failure?: Failure<State, Input, Output>;
}

/**
 * Checks `history` against `model`, each key by itself.
 *
 * @throws HistoryError for a history that cannot have been recorded: times that are not finite, a return before
 *   its call, an answer without a return.
 */
export function checkHistory<State, Input, Output>(
  options: CheckOptions<State, Input, Output>,
): CheckResult<State, Input, Output> {
  const { model, history, timeMsMax = 60_000, memoEntriesMax = 4_194_304, now } = options;
  history.forEach(requirePlausible);
  const budget: SearchBudget = { deadline: now() + timeMsMax, memoEntriesMax, now };

  const partitions: PartitionResult[] = [];
  let failure: Failure<State, Input, Output> | undefined;
  for (const [key, operations] of partitionByKey(model, history)) {
    const settled = model.settleUnknown?.(operations) ?? operations;
    const result = searchLinearization(model, settled, budget);
    const operationCount = operations.length;
    if (result.type === 'unknown') {
      partitions.push({ key, operationCount, verdict: 'unknown', reason: result.reason });
      continue;
    }
    partitions.push({ key, operationCount, verdict: result.type });
    if (result.type === 'notLinearizable') {
      const found = { key, ...smallestPart({ model, operations, settled, result, budget }) };
      if (failure === undefined || found.operations.length < failure.operations.length) failure = found;
    }
  }
  if (failure !== undefined) return { verdict: 'notLinearizable', partitions, failure };
  const unknown = partitions.some((partition) => partition.verdict === 'unknown');
  return { verdict: unknown ? 'unknown' : 'linearizable', partitions };
}

function requirePlausible(operation: Operation<unknown, unknown>, index: number): void {
  const { call, return: returned, output } = operation;
  if (!Number.isFinite(call)) throw new HistoryError(`operation ${index}: call time ${call} is not a finite number`);
  if (returned === undefined) {
    if (output !== undefined) throw new HistoryError(`operation ${index}: has an output but no return`);
    return;
  }
  if (!Number.isFinite(returned)) throw new HistoryError(`operation ${index}: return time ${returned} is not finite`);
  if (returned < call)
    throw new HistoryError(`operation ${index}: returned at ${returned}, before its call at ${call}`);
}

/** The operations of each key in order of calls; keys with few operations first, so that a hard one delays no other. */
function partitionByKey<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
): [string | undefined, Operation<Input, Output>[]][] {
  const byKey = new Map<string | undefined, Operation<Input, Output>[]>();
  for (const operation of history) {
    if (operation.return === undefined && model.isRead(operation.input)) continue;
    const operations = byKey.get(operation.key);
    if (operations === undefined) byKey.set(operation.key, [operation]);
    else operations.push(operation);
  }
  for (const operations of byKey.values()) operations.sort((a, b) => a.call - b.call);
  return [...byKey].sort(([, a], [, b]) => a.length - b.length);
}

/**
 * Cuts after the return of the stuck operation, and shows what was recorded: the answers that settled an operation of
 * unknown outcome may have come later. Only if that search exceeds its budget, the operations as they were settled.
 */
function smallestPart<State, Input, Output>(failed: {
  readonly model: Model<State, Input, Output>;
  readonly operations: readonly Operation<Input, Output>[];
  readonly settled: readonly Operation<Input, Output>[];
  readonly result: SearchResult<State> & { readonly type: 'notLinearizable' };
  readonly budget: SearchBudget;
}): Pick<Failure<State, Input, Output>, 'operations' | 'stuck' | 'attempts'> {
  const { model, operations, settled, result, budget } = failed;
  const end = settled[result.stuck].return ?? Infinity;
  if (settled !== operations) {
    const part = calledUntil(end, operations);
    const recorded = searchLinearization(model, part, budget);
    if (recorded.type === 'notLinearizable')
      return { operations: part, stuck: recorded.stuck, attempts: recorded.attempts };
  }
  return { operations: calledUntil(end, settled), stuck: result.stuck, attempts: result.attempts };
}

/** In order of calls, so what was called by then is a prefix and indexes stay what they are. */
function calledUntil<Input, Output>(
  end: number,
  operations: readonly Operation<Input, Output>[],
): readonly Operation<Input, Output>[] {
  const calledLater = operations.findIndex((operation) => operation.call > end);
  return calledLater < 0 ? operations : operations.slice(0, calledLater);
}

export { HistoryError, HistoryRecorder, type OpenOperation, type Operation } from './history.js';
export { impossible, type Model } from './model.js';
export { appendStringModel, type AppendStringInput, type AppendStringOutput } from './models/append-string.js';
export { counterModel, type CounterInput, type CounterOutput } from './models/counter.js';
export { registerModel } from './models/register.js';
export type { RegisterInput, RegisterOutput, RegisterValue } from './models/register-operation.js';
export { setModel, type SetInput, type SetOutput } from './models/set.js';
export {
  versionedRegisterModel,
  type VersionedRegisterInput,
  type VersionedRegisterOutput,
} from './models/versioned-register.js';
