/** Bytes of proposals that are not committed and durable here: what bounds a leader's memory when followers or its disk are slow. */
import { assert } from '../base/assert.js';
import type { LogIndex } from '../base/ids.js';

/** What an entry takes besides its data, about; so that empty proposals are bounded too. */
const entryOverheadBytes = 64;

export class UncommittedProposals {
  readonly #bytesMax: number;
  /** Data bytes of the proposals, in order of their indexes; those before `#head` are done. */
  #sizes: number[] = [];
  #head = 0;
  #firstIndex: number;
  #bytes = 0;

  /** @param firstIndex the index that the first proposal gets. */
  constructor(firstIndex: LogIndex, bytesMax: number) {
    this.#firstIndex = firstIndex;
    this.#bytesMax = bytesMax;
  }

  /** A single proposal is always admitted, whatever its size. */
  admits(dataBytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + dataBytes + entryOverheadBytes <= this.#bytesMax;
  }

  add(index: LogIndex, dataBytes: number): void {
    assert(index === this.#firstIndex + this.#sizes.length - this.#head, 'a proposal does not follow the last');
    this.#sizes.push(dataBytes + entryOverheadBytes);
    this.#bytes += dataBytes + entryOverheadBytes;
  }

  /** Proposals up to `index` are done. */
  doneTo(index: LogIndex): void {
    while (this.#firstIndex <= index && this.#head < this.#sizes.length) {
      this.#bytes -= this.#sizes[this.#head++];
      this.#firstIndex++;
    }
    if (this.#head * 2 > this.#sizes.length) {
      this.#sizes = this.#sizes.slice(this.#head);
      this.#head = 0;
    }
  }
}
