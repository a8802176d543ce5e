import { describe, expect, it } from 'vitest';
import { runTurns } from '../../src/platform/turns.js';
import { EngineModel } from '../../src/sim/engine/engine-model.js';
import { simulateEngine, type EngineRunResult } from '../../src/sim/engine/engine-run.js';

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
