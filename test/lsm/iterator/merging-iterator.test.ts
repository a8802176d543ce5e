import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/base/bytes.js';
import { Timestamp } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { compareEntries, type Kind } from '../../../src/lsm/entry.js';
import type { EntryIterator, Pending } from '../../../src/lsm/iterator/entry-iterator.js';
import { MergingIterator } from '../../../src/lsm/iterator/merging-iterator.js';

interface SourceEntry {
  readonly key: Uint8Array;
  readonly version: number;
  readonly source: number;
}

/** Walks over a list; some steps take a turn. */
class ListIterator implements EntryIterator {
  readonly #entries: readonly SourceEntry[];
  readonly #random: Prng;
  #at = -1;
  readonly kind: Kind = 'put';
  noteSkipped(): void {}

  constructor(entries: readonly SourceEntry[], random: Prng) {
    this.#entries = entries;
    this.#random = random;
  }

  get valid(): boolean {
    return this.#at >= 0 && this.#at < this.#entries.length;
  }

  get key(): Uint8Array {
    return this.#entries[this.#at].key;
  }

  get version(): Timestamp {
    return Timestamp(this.#entries[this.#at].version);
  }

  get value(): Uint8Array {
    return Uint8Array.of(this.#entries[this.#at].source);
  }

  start(): Pending {
    return this.advance();
  }

  advanceHidden(): Pending {
    return this.advance();
  }

  advance(): Pending {
    if (this.#random.chance(0.3)) return Promise.resolve().then(() => void this.#at++);
    this.#at++;
    return undefined;
  }
}

describe('MergingIterator', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'has the entries of all sources in order, equal ones newest first, seed %i',
    async (seed) => {
      const random = new Prng(seed);
      const order = (a: SourceEntry, b: SourceEntry): number =>
        compareEntries(a.key, a.version, b.key, b.version) || a.source - b.source;
      const sources = Array.from({ length: random.int(0, 9) }, (_, source) =>
        Array.from({ length: random.int(0, 40) }, () => ({ key: random.bytes(1), version: random.int(1, 3), source }))
          .sort(order)
          .filter((entry, i, all) => i === 0 || order(all[i - 1], entry) !== 0),
      );
      const expected = sources.flat().sort(order);
      for (const reverse of [false, true]) {
        const lists = sources.map((entries) => new ListIterator(reverse ? entries.toReversed() : entries, random));
        const merging = new MergingIterator(lists, reverse);
        const seen: string[] = [];
        for (await merging.start(); merging.valid; await merging.advance()) {
          seen.push(`${toHex(merging.key)} ${merging.version} ${merging.value[0]}`);
        }
        const wanted = expected.map(({ key, version, source }) => `${toHex(key)} ${version} ${source}`);
        expect(seen).toEqual(reverse ? wanted.reverse() : wanted);
      }
    },
  );
});
