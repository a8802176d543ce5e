import { describe, expect, it } from 'vitest';
import { CompactionThrottle } from '../../src/lsm/compaction-throttle.js';
import { Tree } from '../../src/lsm/tree.js';
import { ManualClock, newDisk, put, treeDirectory, treeResources } from './harness.js';

const open = new AbortController().signal;

/** 1000 bytes a second, and so a byte a millisecond. */
function newThrottle(): { clock: ManualClock; throttle: CompactionThrottle } {
  const clock = new ManualClock();
  return { clock, throttle: new CompactionThrottle({ bytesPerSecondMax: 1000, clock }) };
}

/** Whether it has resolved; asked after all that is ready has run. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => (done = true));
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe('CompactionThrottle', () => {
  it('has a compaction wait until those before it are paid for', async () => {
    const { clock, throttle } = newThrottle();
    await throttle.admit(100, open);
    const second = throttle.admit(50, open);
    const third = throttle.admit(1, open);
    clock.advance(99);
    expect(await isDone(second)).toBe(false);
    clock.advance(1);
    expect(await isDone(second)).toBe(true);
    clock.advance(49);
    expect(await isDone(third)).toBe(false);
    clock.advance(1);
    expect(await isDone(third)).toBe(true);
  });

  it('saves nothing up', async () => {
    const { clock, throttle } = newThrottle();
    clock.advance(10_000);
    await throttle.admit(100, open);
    const second = throttle.admit(1, open);
    clock.advance(99);
    expect(await isDone(second)).toBe(false);
    clock.advance(1);
    expect(await isDone(second)).toBe(true);
  });

  it('has compactions pay for flushes', async () => {
    const { clock, throttle } = newThrottle();
    throttle.charge(70);
    const compaction = throttle.admit(10, open);
    clock.advance(69);
    expect(await isDone(compaction)).toBe(false);
    clock.advance(1);
    expect(await isDone(compaction)).toBe(true);
  });

  it('takes back what a compaction did not write', async () => {
    const { clock, throttle } = newThrottle();
    await throttle.admit(100, open);
    throttle.giveBack(60);
    const second = throttle.admit(1, open);
    clock.advance(40);
    expect(await isDone(second)).toBe(true);
  });

  it('ends the wait of who does not want to any more, and charges nothing', async () => {
    const { clock, throttle } = newThrottle();
    await throttle.admit(100, open);
    const closing = new AbortController();
    const given = throttle.admit(500, closing.signal);
    closing.abort(new Error('closed'));
    await expect(given).rejects.toThrow('closed');
    expect(clock.timerCount).toBe(0);
    const next = throttle.admit(1, open);
    clock.advance(100);
    expect(await isDone(next)).toBe(true);
  });
});

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
