import { describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { runTurns } from '../../src/platform/turns.js';
import { EngineModel } from '../../src/sim/engine/engine-model.js';
import type { EngineOperation } from '../../src/sim/engine/engine-operation.js';
import { drawTreeOptions } from '../../src/sim/engine/engine-plan.js';
import { simulateEngine, type EngineRunResult } from '../../src/sim/engine/engine-run.js';
import { EngineSession } from '../../src/sim/engine/engine-session.js';
import type { SimDisk } from '../../src/sim/disk.js';
import { newDisk, treeResources } from '../lsm/harness.js';

function run(seed: number): Promise<EngineRunResult> {
  return simulateEngine({ seed, runTurns, operations: 200 });
}

describe('the simulator of the engine', () => {
  it.each([1, 2, 3, 4, 5, 6])('finds nothing wrong with the engine, seed %i', async (seed) => {
    const { failure, operations } = await run(seed);
    expect(failure).toBeUndefined();
    expect(operations['write']).toBeGreaterThan(20);
  });

  it('does the same again for the same seed', async () => {
    const [first, second] = [await run(7), await run(7)];
    expect(second).toEqual(first);
    expect((await run(8)).traceHash).not.toBe(first.traceHash);
  });
});

describe('an ingestion of the simulator', () => {
  const drawn = { valueBytes: 3, to: 0, kind: 'put' } as const;

  async function opened(mayFailSo: () => boolean): Promise<{ session: EngineSession; disk: SimDisk }> {
    const disk = newDisk();
    const treeOptions = () => drawTreeOptions(new Prng(1));
    const session = new EngineSession({ keys: ['a', 'm', 'z'], directory: 'node/tree', treeOptions, mayFailSo });
    await session.open(treeResources(disk));
    await session.perform({ type: 'write', entries: [{ ...drawn, key: 2, versionStep: 9 }] });
    await session.perform({ type: 'raiseSafePoint', part: 1 });
    return { session, disk };
  }

  const ingestion: EngineOperation = {
    type: 'ingest',
    // Below the safe point, but outside of the bounds; and above it.
    entries: [
      { ...drawn, key: 0, versionStep: -60 },
      { ...drawn, key: 1, versionStep: 40 },
    ],
    from: 1,
    to: undefined,
    flushes: 1,
    isOld: true,
  };

  it('is to be refused for the versions that it has, and for no others', async () => {
    const { session } = await opened(() => false);
    expect(await session.perform(ingestion)).toBe('ingested as 2');
    // A table by itself, which has no bounds.
    expect(await session.perform(ingestion)).toBe('refused');
    expect(await session.perform({ ...ingestion, isOld: false })).toBe('ingested as 3');
    await session.close();
  });

  it.each(['io', 'noSpace'] as const)('is not refused with %s, unless the disk was made to fail', async (code) => {
    let mayFail = false;
    const { session, disk } = await opened(() => mayFail);
    disk.fault = (operation) => (operation === 'link' ? code : undefined);
    await expect(session.perform({ ...ingestion, from: undefined, isOld: false })).rejects.toThrow(code);
    mayFail = true;
    expect(await session.perform({ ...ingestion, from: undefined, isOld: false })).toBe('refused');
    disk.fault = undefined;
    expect(await session.perform(ingestion)).toBe('ingested as 2');
    await session.close();
  });
});

describe('the model of the engine', () => {
  it('has the newest version at or below the one asked for, and the state after any batch', () => {
    const model = new EngineModel();
    model.add([{ key: 'a', version: 5, kind: 'put', value: 'five' }]);
    model.add([{ key: 'a', version: 3, kind: 'put', value: 'three' }]);
    model.add([{ key: 'a', version: 7, kind: 'delete', value: '' }]);
    expect(model.get('a', 4)?.value).toBe('three');
    expect(model.get('a', 6)?.value).toBe('five');
    expect(model.get('a', 7)).toBeUndefined();
    expect(model.get('a', 7, 2)?.value).toBe('five');
    expect(model.get('a', 4, 1)).toBeUndefined();
  });

  it('hides what a range has of lower versions, whenever it was written', () => {
    const model = new EngineModel();
    model.add([{ key: 'a', version: 5, kind: 'deleteRange', value: 'c' }]);
    model.add([
      { key: 'a', version: 4, kind: 'put', value: 'hidden' },
      { key: 'b', version: 5, kind: 'put', value: 'seen' },
      { key: 'c', version: 4, kind: 'put', value: 'outside' },
    ]);
    expect(model.scan({ lower: '', upper: undefined }, 9).map(({ value }) => value)).toEqual(['seen', 'outside']);
    expect(model.get('a', 4)?.value).toBe('hidden');
  });
});
