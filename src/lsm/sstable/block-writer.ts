import { assert } from '../../base/assert.js';
import { emptyBytes } from '../../base/bytes.js';
import { ByteWriter } from '../../base/coding.js';
import { compareEntries } from '../entry.js';
import { restartInterval } from './sstable-format.js';

/** Builds one block after another: entries in order, each key without what it shares with the one before. */
export class BlockWriter {
  readonly #bytes = new ByteWriter();
  #restarts: number[] = [];
  #entries = 0;
  #lastKey = emptyBytes;
  #lastVersion = 0;

  get empty(): boolean {
    return this.#entries === 0;
  }

  /** Size that the block would have now. */
  get length(): number {
    return this.#bytes.length + 4 * (this.#restarts.length + 1);
  }

  /** `key` must stay unchanged until the next call; `value` is copied. */
  add(key: Uint8Array, version: number, kindByte: number, value: Uint8Array): void {
    assert(
      this.empty || compareEntries(this.#lastKey, this.#lastVersion, key, version) < 0,
      'entries of a block must come in order, and each once',
    );
    let shared = 0;
    if (this.#entries % restartInterval === 0) this.#restarts.push(this.#bytes.length);
    else shared = sharedPrefixLength(this.#lastKey, key);
    this.#bytes
      .varint(shared)
      .varint(key.length - shared)
      .varint(value.length)
      .varint(version)
      .u8(kindByte)
      .raw(shared === 0 ? key : key.subarray(shared))
      .raw(value);
    this.#entries++;
    this.#lastKey = key;
    this.#lastVersion = version;
  }

  /** The block, valid until the next call; the writer is then ready for the next block. */
  finish(): Uint8Array {
    assert(!this.empty, 'a block has at least one entry');
    for (const restart of this.#restarts) this.#bytes.u32(restart);
    this.#bytes.u32(this.#restarts.length);
    const block = this.#bytes.view();
    this.#bytes.reset();
    this.#restarts = [];
    this.#entries = 0;
    return block;
  }
}

function sharedPrefixLength(a: Uint8Array, b: Uint8Array): number {
  const max = Math.min(a.length, b.length);
  let length = 0;
  while (length < max && a[length] === b[length]) length++;
  return length;
}
