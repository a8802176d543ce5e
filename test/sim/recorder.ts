import { fromUtf8 } from '../../src/base/bytes.js';
import { deferred } from '../../src/base/promises.js';
import type { Connection } from '../../src/env/network.js';

/** One end of a connection that remembers what it heard. */
export class Recorder {
  readonly connection: Connection;
  /** `frame` text, or `end`, or `end: ` and the error. */
  readonly heard: string[] = [];
  readonly #over = deferred<Error | undefined>();
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
    connection.start({
      onFrame: (frame) => this.#add(fromUtf8(frame)),
      onClose: (error) => {
        this.#add(error === undefined ? 'end' : `end: ${error.message}`);
        this.#over.resolve(error);
      },
    });
  }

  /** With the error of the end, if any. */
  get over(): Promise<Error | undefined> {
    return this.#over.promise;
  }

  /** When so many things were heard. */
  async hears(count: number): Promise<string[]> {
    if (this.heard.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    return this.heard.slice(0, count);
  }

  #add(text: string): void {
    this.heard.push(text);
    const [due, rest] = [
      this.#waiting.filter(({ count }) => count <= this.heard.length),
      this.#waiting.filter(({ count }) => count > this.heard.length),
    ];
    this.#waiting = rest;
    for (const { resolve } of due) resolve();
  }
}
