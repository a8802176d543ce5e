/**
 * The same operations on trees of different shapes, with caches of different sizes, flushes and compactions at other
 * times: all of them must show the same at each step, and what the model says. A failure is shrunk to the operations that
 * it takes, and printed with the seed; LSM_AGREEMENT_SEED=seed runs that again.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { runTurns } from '../../src/platform/turns.js';
import { EngineMachine } from '../../src/sim/engine/engine-machine.js';
import type { DrawnEntry, EngineOperation } from '../../src/sim/engine/engine-operation.js';
import { drawCacheSizes, drawTreeOptions } from '../../src/sim/engine/engine-plan.js';
import { EngineSession } from '../../src/sim/engine/engine-session.js';

const keys = ['', 'a', 'a\u0000', 'ab', 'abc', 'b', 'user/1', 'user/10', 'user/2', '\u00ff', '\u00ff\u00ff'];
/** Far more virtual time than anything takes. */
const patienceMs = 600_000;

interface Machine {
  readonly machine: EngineMachine;
  readonly session: EngineSession;
}

class Trees {
  readonly #machines: readonly Machine[];

  /** @param shapes a seed for each tree, which gives it shape, caches and latencies */
  constructor(shapes: readonly number[]) {
    this.#machines = shapes.map((shape) => {
      const random = new Prng(shape);
      const options = random.split('options');
      return {
        machine: new EngineMachine({ random, runTurns }),
        session: new EngineSession({
          keys,
          directory: 'node/tree',
          treeOptions: () => drawTreeOptions(options),
          mayFailSo: () => false,
        }),
      };
    });
  }

  async open(): Promise<void> {
    for (const { machine, session } of this.#machines) {
      await machine.disk.makeDirectory('node');
      const resources = machine.start(drawCacheSizes(new Prng(machine.disk.operationCount)));
      await done(machine, session.open(resources));
    }
  }

  /** What each tree has shown. */
  async perform(operation: EngineOperation): Promise<string[]> {
    const shown: string[] = [];
    for (const { machine, session } of this.#machines) {
      shown.push(await done(machine, session.perform(operation)));
      machine.checkMemory();
    }
    return shown;
  }

  async finish(): Promise<void> {
    for (const { machine, session } of this.#machines) await done(machine, session.examine());
  }
}

async function done<T>(machine: EngineMachine, work: Promise<T>): Promise<T> {
  const outcome = await machine.complete(work, patienceMs);
  if (outcome.type === 'failed') throw outcome.error;
  if (outcome.type !== 'done') throw new Error(`an operation is ${outcome.type}`);
  return outcome.value;
}

class OperationCommand implements fc.AsyncCommand<object, Trees> {
  readonly #operation: EngineOperation;

  constructor(operation: EngineOperation) {
    this.#operation = operation;
  }

  check(): boolean {
    return true;
  }

  async run(_: object, trees: Trees): Promise<void> {
    const [first, ...others] = await trees.perform(this.#operation);
    for (const other of others) expect(other).toBe(first);
  }

  toString(): string {
    return JSON.stringify(this.#operation);
  }
}

const key = fc.nat(80);
const age = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100 }));
const bounds = { from: fc.option(key, { nil: undefined }), to: fc.option(key, { nil: undefined }) };
const scan = { ...bounds, age, reverse: fc.boolean() };
const entry: fc.Arbitrary<DrawnEntry> = fc.record({
  key,
  to: key,
  versionStep: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) }, fc.integer({ min: -40, max: 0 })),
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant('put' as const) },
    { weight: 4, arbitrary: fc.constant('delete' as const) },
    { weight: 1, arbitrary: fc.constant('deleteRange' as const) },
  ),
  valueBytes: fc.oneof({ weight: 20, arbitrary: fc.nat(40) }, fc.nat(2000)),
});
const entries = fc.array(entry, { maxLength: 8 });

const operations: { readonly weight: number; readonly arbitrary: fc.Arbitrary<EngineOperation> }[] = [
  { weight: 40, arbitrary: fc.record({ type: fc.constant('write' as const), entries }) },
  {
    weight: 15,
    arbitrary: fc.record({
      type: fc.constant('get' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 6 }),
      age,
    }),
  },
  { weight: 10, arbitrary: fc.record({ type: fc.constant('scan' as const), ...scan }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('openIterator' as const), ...scan }) },
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant('advance' as const), records: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 3, arbitrary: fc.constant({ type: 'flush' }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('raiseSafePoint' as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'verify' }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('checkpoint' as const), ...bounds, entries }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('ingest' as const),
      ...bounds,
      entries,
      flushes: fc.integer({ min: 1, max: 3 }),
      isOld: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('pause' as const), ms: fc.constantFrom(1, 20, 200) }) },
  { weight: 2, arbitrary: fc.constant({ type: 'reopen' }) },
];

const seed = process.env['LSM_AGREEMENT_SEED'];

describe('trees of different shapes', () => {
  it('show the same after the same operations', async () => {
    const command = fc.oneof(...operations).map((operation) => new OperationCommand(operation));
    await fc.assert(
      fc.asyncProperty(
        fc.commands([command], { maxCommands: 150, size: 'max' }),
        fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
        async (commands, shapes) => {
          const trees = new Trees(shapes);
          await trees.open();
          await fc.asyncModelRun(() => ({ model: {}, real: trees }), commands);
          await trees.finish();
        },
      ),
      { numRuns: 25, ...(seed === undefined ? {} : { seed: Number(seed) }) },
    );
    // Twenty-five runs of three trees, and as many again to shrink a failure.
  }, 120_000);
});
