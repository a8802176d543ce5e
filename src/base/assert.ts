/**
 * An invariant of the program does not hold. It is never caught and handled: the node that sees one stops,
 * because continuing on a broken assumption is how acknowledged data is lost.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws an {@link AssertionError} unless `condition` holds. On in production too. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** From 0 to 2^53 - 1. Numbers are written all the time: the message is made only where it is needed. */
export function assertWholeNumber(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) assert(false, `not a whole number below 2^53: ${value}`);
}

/** For the `default` of an exhaustive `switch`: the compiler proves that it is not reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}

/** Returns `value`, which the surrounding code knows to be there; `what` names it in the failure. */
export function defined<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionError(`${what} is missing`);
  return value;
}
