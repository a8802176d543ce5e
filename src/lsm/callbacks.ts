import { checkFunction } from './arguments.js';

/**
 * Functions of the owner of a tree that are told of something. They are called in the midst of the tree's own work, so what
 * one throws must not get there, where it would count as a failure of that work: it becomes an uncaught exception of the
 * process, as if the function had been called in a turn of its own, and the others are called all the same.
 */
export class Callbacks<T> {
  readonly #callbacks: ((value: T) => void)[] = [];

  add(callback: (value: T) => void): void {
    checkFunction(callback, 'the callback');
    this.#callbacks.push(callback);
  }

  call(value: T): void {
    for (const callback of this.#callbacks) {
      try {
        callback(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
