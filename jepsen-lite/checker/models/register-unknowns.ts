import type { Operation } from '../history.js';
import type { RegisterInput, RegisterOutput, RegisterValue } from './register-operation.js';

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

/**
 * What the answers of a history of one register tell of its operations with unknown outcome. The history is
 * linearizable exactly when the result is:
 *
 * - A value that one operation alone could write, and that an answer showed, was written before that answer came. So the
 *   operation is as good as returned by then, and a compare-and-set met what it expected.
 * - A value that no answer showed need not have been written: leave out what wrote it, and each answer given while it
 *   stood (to writes and deletes, which do not look) can be given without it. Not so when an answer says only that
 *   something was *not* there, so then everything is kept.
 *
 * Left are deletes, and what a compare-and-set that may have deleted would have needed. Where all values are distinct
 * their number no longer decides how long a search takes.
 */
export function settleUnknownWrites(history: readonly RegisterOperation[]): readonly RegisterOperation[] {
  if (history.every(({ return: returned }) => returned !== undefined)) return history;
  const settled = settleSeen(history);
  return settled.every(tellsWhatItFound) ? settled.filter(isNeeded(settled)) : settled;
}

/** Gives each unknown write whose value was seen the latest time at which it can have taken effect. */
function settleSeen(history: readonly RegisterOperation[]): RegisterOperation[] {
  const settled = [...history];
  const writers = onlyWriters(history);
  const writtenBy = (value: RegisterValue, time: number): void => {
    // What a compare-and-set expected was written before it, and so on.
    for (let seen = value; seen !== null;) {
      const index = writers.get(seen);
      if (index === undefined || history[index].return !== undefined) return;
      const { call, return: known = Infinity, input } = settled[index];
      if (time >= known || time < call) return;
      settled[index] = { ...settled[index], return: time, output: { type: 'done' } };
      seen = input.type === 'cas' ? input.expected : null;
    }
  };
  for (const operation of history) {
    const shown = shownBy(operation);
    if (operation.return !== undefined && shown !== undefined) writtenBy(shown, operation.return);
  }
  return settled;
}

/** The operation that wrote a value, if it was written at all: for values that only one operation could write. */
function onlyWriters(history: readonly RegisterOperation[]): Map<string, number> {
  const writers = new Map<string, number>();
  const ambiguous = new Set<string>();
  history.forEach(({ input }, index) => {
    const value = writes(input);
    if (value === undefined || value === null) return;
    if (writers.has(value)) ambiguous.add(value);
    writers.set(value, index);
  });
  for (const value of ambiguous) writers.delete(value);
  return writers;
}

/** What the register has if the operation takes effect; undefined for a read. */
function writes(input: RegisterInput): RegisterValue | undefined {
  if (input.type === 'read') return undefined;
  return input.type === 'delete' ? null : input.value;
}

/** What the register had when the operation took effect; undefined when the answer does not tell. */
function shownBy({ input, output }: RegisterOperation): RegisterValue | undefined {
  switch (output?.type) {
    case undefined:
      return undefined;
    case 'value':
      return output.value;
    case 'nothingDeleted':
      return null;
    case 'refused':
      return output.current;
    case 'done':
      return input.type === 'cas' ? input.expected : undefined;
  }
}

/** Whether an answer tells what was there, if what was there mattered to it. */
function tellsWhatItFound(operation: RegisterOperation): boolean {
  const { return: returned, input } = operation;
  if (returned === undefined || input.type === 'write') return true;
  if (input.type === 'delete') return operation.output !== undefined;
  return shownBy(operation) !== undefined;
}

/** Whether an operation returned, or may be needed to explain those that did. */
function isNeeded(history: readonly RegisterOperation[]): (operation: RegisterOperation) => boolean {
  const seen = new Set<RegisterValue>([null]);
  for (const operation of history) {
    const shown = shownBy(operation);
    if (shown !== undefined) seen.add(shown);
  }
  const isKept = ({ return: returned, input }: RegisterOperation): boolean => {
    const value = writes(input);
    return returned !== undefined || (value !== undefined && seen.has(value));
  };
  for (let before = 0; before < seen.size;) {
    before = seen.size;
    for (const operation of history) {
      const { return: returned, input } = operation;
      if (returned === undefined && input.type === 'cas' && isKept(operation)) seen.add(input.expected);
    }
  }
  return isKept;
}
