/** The log against its obvious twin, a plain array, and the disk order that `Ready` prescribes. */
import { describe, expect, test } from 'vitest';
import { LogIndex, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { RaftLog } from '../../src/raft/raft-log.js';
import type { Entry } from '../../src/raft/types.js';
import { TestLog } from './replica.js';

function entry(index: number, term: number, bytes = 1): Entry {
  return { index: LogIndex(index), term: Term(term), data: new Uint8Array(bytes) };
}

function logOf(...terms: number[]): { view: TestLog; log: RaftLog } {
  const view = new TestLog();
  view.write(terms.map((term, i) => entry(i + 1, term)));
  return { view, log: new RaftLog(view, LogIndex(0), LogIndex(0)) };
}

describe('raft log', () => {
  test('agrees with a plain array under random appends, conflicts, commits and syncs', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Prng(seed);
      const { view, log } = logOf(...Array<number>(random.int(0, 3)).fill(1));
      const twin: Entry[] = [...view.all];
      let durable: Entry[] = [...view.all];
      const writes: Entry[][] = [];
      let term = 1;
      for (let step = 0; step < 40; step++) {
        const dice = random.int(0, 4);
        if (dice === 0) {
          // What a leader of a new term sends: a match anywhere from the commit index on, then its entries.
          term++;
          const from = random.int(log.commitIndex, twin.length);
          const entries = Array.from({ length: random.int(0, 3) }, (_, i) => entry(from + 1 + i, term));
          log.merge(entries);
          if (entries.length > 0) twin.splice(from, Infinity, ...entries);
        } else if (dice === 1) {
          // A late append, equal to what is here.
          const from = random.int(0, twin.length);
          log.merge(twin.slice(from, from + random.int(0, 3)));
        } else if (dice === 2) {
          const commit = random.int(0, twin.length);
          log.commitTo(LogIndex(commit));
        } else if (dice === 3) {
          const entries = [...log.handOver()];
          view.write(entries);
          writes.push(entries);
        } else if (writes.length > 0) {
          const written = writes.splice(0, 1)[0];
          if (written.length > 0) durable = [...durable.slice(0, written[0].index - 1), ...written];
          const last = durable.at(-1);
          // Reported as a point of the current term: only what it names may become stable.
          if (last !== undefined && writes.length === 0) log.stableTo(last.index, last.term);
        }
        const readBack: Entry[] = [];
        while (readBack.length < twin.length) {
          readBack.push(...(log.entriesFrom(LogIndex(readBack.length + 1), 2) ?? []));
        }
        expect(readBack).toEqual(twin);
        expect(readBack.map(({ index }) => log.term(index))).toEqual(twin.map(({ term }) => term));
        expect(log.lastIndex).toBe(twin.length);
        expect(log.term(LogIndex(twin.length + 1))).toBeUndefined();
        expect(durable.slice(0, log.stableIndex)).toEqual(twin.slice(0, log.stableIndex));
        expect(log.applicableIndex).toBe(Math.min(log.commitIndex, log.stableIndex));
      }
    }
  });

  test('never replaces what is committed', () => {
    const { log } = logOf(1, 1, 1);
    log.commitTo(LogIndex(2));
    expect(() => {
      log.merge([entry(2, 2)]);
    }).toThrow('committed');
    log.merge([entry(3, 2)]);
    expect(log.lastTerm).toBe(2);
  });

  test('commits nothing that it does not have', () => {
    const { log } = logOf(1);
    expect(() => {
      log.commitTo(LogIndex(2));
    }).toThrow('beyond the last entry');
  });

  test('refuses to start on a log that misses what is known to be committed', () => {
    expect(() => new RaftLog(new TestLog(), LogIndex(1), LogIndex(0))).toThrow('the log ends at 0');
  });

  test.each([
    { terms: [1, 1, 2, 2, 5], index: 5, term: 4, expected: 4 },
    { terms: [1, 1, 2, 2, 5], index: 4, term: 1, expected: 2 },
    { terms: [1, 1, 2, 2, 5], index: 9, term: 5, expected: 5 },
    { terms: [3, 3], index: 2, term: 2, expected: 0 },
    { terms: [], index: 7, term: 2, expected: 0 },
  ])('lastIndexOfTermAtMost: $terms, $index, $term', ({ terms, index, term, expected }) => {
    expect(logOf(...terms).log.lastIndexOfTermAtMost(LogIndex(index), Term(term))).toBe(expected);
  });

  test('cuts what it sends by bytes, never below one entry', () => {
    const { log } = logOf();
    for (const [i, bytes] of [10, 10, 10, 100].entries()) log.append(entry(i + 1, 1, bytes));
    const lengths = [0, 10, 20, 29, 30, 1000].map((bytesMax) => log.entriesFrom(LogIndex(1), bytesMax)?.length);
    expect(lengths).toEqual([1, 1, 2, 2, 3, 4]);
    expect(log.entriesFrom(LogIndex(4), 5)?.length).toBe(1);
  });
});
