/** The power is lost, or the process killed, at every operation of the disk in turn: see crash-work.ts. */
import { describe, expect, test } from 'vitest';
import type { Prng } from '../../src/base/prng.js';
import type { CrashKeeps } from '../../src/sim/disk.js';
import { expectSafeCrashes, shards } from './crash-work.js';
import type { NaiveLog } from './naive-log.js';
import { entries, type Operation } from './support.js';

const options = { segmentBytesMax: 500, cacheBytesMax: 300 };

/** One shard writes and drops all the time; the others do something now and then, and keep what they have. */
function mostlyOne(naive: NaiveLog, random: Prng, step: number): Operation {
  const [busy, ...quiet] = shards;
  const isQuiet = step < 4 || random.chance(0.15);
  const shard = isQuiet ? random.pick(quiet) : busy;
  const { firstIndex, baseTerm, entries: present } = naive.content(shard);
  const last = present.at(-1) ?? { index: firstIndex - 1, term: baseTerm };
  if (!isQuiet && present.length > 2) return { type: 'truncate', shard, index: last.index, term: last.term };
  if (isQuiet && present.length > 4) return { type: 'truncate', shard, index: firstIndex + 1, term: present[1].term };
  // Now and then others take the place of some.
  const replaced = isQuiet && present.length > 1 && random.chance(0.5) ? 2 : 0;
  const term = Math.max(1, last.term + (replaced > 0 ? 1 : 0));
  return {
    type: 'append',
    shard,
    entries: entries(last.index + 1 - replaced, random.int(1, 3), term, isQuiet ? 10 : 90),
  };
}

describe.each<{ keep: CrashKeeps; seed: number }>([
  { keep: 'random', seed: 1 },
  { keep: 'random', seed: 2 },
  { keep: 'none', seed: 4 },
  { keep: 'all', seed: 5 },
])('keeping $keep, seed $seed', ({ keep, seed }) => {
  test('nothing that was acknowledged is lost, wherever it crashes', async () => {
    const next = (naive: NaiveLog, random: Prng): Operation => naive.next(random, random.pick(shards));
    await expectSafeCrashes({ seed, keep, options, steps: 24, next });
  });

  test('nor while what is needed of old segments is written again', async () => {
    const rewriting = { ...options, segmentBytesMax: 200, rewriteBytesMin: 0 };
    const { rewrittenBytes } = await expectSafeCrashes({ seed, keep, options: rewriting, steps: 30, next: mostlyOne });
    expect(rewrittenBytes).toBeGreaterThan(50);
  });

  test.each([1, 3])('nor while segments are written over old ones, with %i spare', async (spareSegmentsMax) => {
    const recycling = { ...options, segmentBytesMax: 200, rewriteBytesMin: 0, spareSegmentsMax };
    const { recycledSegments } = await expectSafeCrashes({
      seed,
      keep,
      options: recycling,
      steps: 40,
      next: mostlyOne,
    });
    expect(recycledSegments).toBeGreaterThan(3);
  });
});
