/**
 * Functions of the owner of a tree that are told of something. They are called in the midst of the tree's own work, so what
 * one throws must not get there, where it would count as a failure of that work: it becomes an uncaught exception of the
 * process, as if the function had been called in a turn of its own, and the others are called all the same.
 */
import { assert } from '../base/assert.js';
import type { Logger } from '../env/logger.js';
import { checkFunction } from './arguments.js';

export class Callbacks<T> {
  readonly #callbacks: ((value: T) => void)[] = [];

  add(callback: (value: T) => void): void {
    checkFunction(callback, 'the callback');
    this.#callbacks.push(callback);
  }

  call(value: T): void {
    for (const callback of this.#callbacks) {
      apart(() => callback(value));
    }
  }
}

/** The same logger, of which nothing that it throws gets to those who log. Asserts that it is one. */
export function guardedLogger(logger: Logger): Logger {
  assert(typeof logger === 'object' && logger !== null, `the logger must be an object, got ${typeof logger}`);
  const methods = logger as unknown as Readonly<Record<string, unknown>>;
  for (const name of ['debug', 'info', 'warn', 'error', 'child']) checkFunction(methods[name], `logger.${name}`);
  return {
    debug: (message, fields) => apart(() => logger.debug(message, fields)),
    info: (message, fields) => apart(() => logger.info(message, fields)),
    warn: (message, fields) => apart(() => logger.warn(message, fields)),
    error: (message, fields) => apart(() => logger.error(message, fields)),
    child: (fields) => guardedLogger(logger.child(fields)),
  };
}

/** As if the owner's function had been called in a turn of its own. */
function apart(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
