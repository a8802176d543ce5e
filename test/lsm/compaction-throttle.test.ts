import { describe, expect, it } from 'vitest';
import { Throttle } from '../../src/env/throttle.js';
import { Tree } from '../../src/lsm/tree.js';
import { ManualClock, newDisk, put, treeDirectory, treeResources } from './harness.js';

/** 1000 bytes a second, and so a byte a millisecond. */
function newThrottle(): { clock: ManualClock; throttle: Throttle } {
  const clock = new ManualClock();
  return { clock, throttle: new Throttle({ bytesPerSecondMax: 1000, clock }) };
}

describe('trees with a throttle', () => {
  const options = { memtableBytesMax: 1 << 20, level0TablesCompact: 2 };

  /** Two flushes that overlap: a compaction is due. */
  async function fillLevel0(tree: Tree): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const version = tree.appliedIndex + 1;
      put(tree, 'a', version, 'x'.repeat(500));
      put(tree, 'z', version + 1, 'y');
      await tree.flush();
    }
  }

  it('compact one after the other, and flush at once', async () => {
    const { clock, throttle } = newThrottle();
    const resources = treeResources(newDisk(), { clock, compactionThrottle: throttle });
    const one = await Tree.create(treeDirectory, resources, options);
    const other = await Tree.create('node/other', resources, options);
    const compactions = (): number => one.stats().compactions + other.stats().compactions;

    await fillLevel0(one);
    await fillLevel0(other);
    await new Promise((resolve) => setImmediate(resolve));
    expect(one.stats().flushes + other.stats().flushes).toBe(4);
    expect(compactions()).toBe(0);
    const startMs = clock.monotonicMs();
    while (compactions() < 2) {
      clock.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // All but the last compaction is paid for by now.
    const { flushedBytes, compactionWrittenBytes } = one.stats();
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(2 * flushedBytes + compactionWrittenBytes - 10);
    await one.close();
    await other.close();
  });

  it('close while a compaction waits', async () => {
    const { clock, throttle } = newThrottle();
    throttle.charge(1e9);
    const tree = await Tree.create(
      treeDirectory,
      treeResources(newDisk(), { clock, compactionThrottle: throttle }),
      options,
    );
    await fillLevel0(tree);
    await tree.close();
    expect(clock.timerCount).toBe(0);
    expect(tree.failure).toBeUndefined();
  });
});
