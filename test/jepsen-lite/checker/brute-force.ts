import { impossible, type Model, type Operation } from '../../../jepsen-lite/checker/check.js';

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (let first = 0; first < items.length; first++) {
    const rest = items.toSpliced(first, 1);
    for (const tail of permutations(rest)) yield [items[first], ...tail];
  }
}

function* subsets<T>(items: readonly T[]): Generator<T[]> {
  for (let bits = 0; bits < 1 << items.length; bits++) yield items.filter((_, index) => (bits >> index) & 1);
}

/** No operation stands after one that was called only after its return. */
export function respectsTime(order: readonly Operation<unknown, unknown>[]): boolean {
  return order.every((later, position) =>
    order.slice(0, position).every((earlier) => (later.return ?? Infinity) >= earlier.call),
  );
}

/** Each operation, taken in this order, could have answered as it did. */
export function explains<S, I, O>(model: Model<S, I, O>, order: readonly Operation<I, O>[]): boolean {
  let state = model.init();
  for (const { input, output } of order) {
    const next = model.step(state, input, output);
    if (next === impossible) return false;
    state = next;
  }
  return true;
}

/** Tries every order of every choice of pending operations: obviously right, and hopeless beyond six operations. */
export function isLinearizableByBruteForce<S, I, O>(
  model: Model<S, I, O>,
  history: readonly Operation<I, O>[],
): boolean {
  const returned = history.filter((operation) => operation.return !== undefined);
  const pending = history.filter((operation) => operation.return === undefined);
  for (const tookEffect of subsets(pending)) {
    for (const order of permutations([...returned, ...tookEffect])) {
      if (respectsTime(order) && explains(model, order)) return true;
    }
  }
  return false;
}
