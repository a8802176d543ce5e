import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Evaluator, type Evaluated } from '../../src/mvcc/evaluator.js';
import type { Condition, OperationResult, RequestId, WriteOperation } from '../../src/mvcc/operations.js';
import { StateMachine } from '../../src/mvcc/state-machine.js';
import { NaiveEngine } from './naive-engine.js';

const none: Condition = { type: 'none' };
const session = new Uint8Array(16).fill(7);
let seqs = 0;
const nextId = (): RequestId => ({ session, seq: seqs++ });

function put(key: string, value: string, condition = none, requestId = nextId()): WriteOperation {
  return { type: 'put', key: utf8(key), value: utf8(value), condition, requestId };
}

function del(key: string, condition = none, requestId = nextId()): WriteOperation {
  return { type: 'delete', key: utf8(key), condition, requestId };
}

/** One leader, whose entries are applied when the test says so. */
class Leader {
  readonly engine = new NaiveEngine();
  readonly evaluator: Evaluator;
  readonly #proposed: Evaluated[] = [];
  #machine: StateMachine | undefined;
  #clock = 1000;

  constructor(requestIdRetentionMs = 60_000) {
    this.evaluator = new Evaluator(this.engine, { requestIdRetentionMs });
  }

  async machine(): Promise<StateMachine> {
    this.#machine ??= await StateMachine.create(this.engine, utf8('shard'), { versionRetentionMs: 60_000 });
    return this.#machine;
  }

  advanceClock(micros: number): void {
    this.#clock += micros;
  }

  /** Evaluates, and leaves the entry in flight. */
  async propose(...operations: WriteOperation[]): Promise<readonly OperationResult[]> {
    await this.machine();
    const evaluated = this.evaluator.evaluate(
      operations,
      await this.evaluator.prepare(operations),
      Timestamp(this.#clock),
    );
    this.#clock += operations.length;
    if (evaluated.batch !== undefined) this.#proposed.push(evaluated);
    return evaluated.results;
  }

  async applyAll(): Promise<void> {
    const machine = await this.machine();
    for (const { batch, ticket } of this.#proposed.splice(0)) {
      if (batch === undefined) continue;
      machine.apply(LogIndex(machine.appliedIndex + 1), batch);
      this.evaluator.applied(ticket);
    }
  }

  async execute(operation: WriteOperation): Promise<OperationResult> {
    const [result] = await this.propose(operation);
    await this.applyAll();
    return result;
  }
}

describe('conditions on every state', () => {
  const version = Timestamp(1000);
  const conditions: Record<string, Condition> = {
    none,
    absent: { type: 'absent' },
    'version equals': { type: 'versionEquals', version },
    'version differs': { type: 'versionEquals', version: Timestamp(999) },
    'value equals': { type: 'valueEquals', value: utf8('old') },
    'value differs': { type: 'valueEquals', value: utf8('other') },
  };
  const states = ['never written', 'present', 'deleted'] as const;
  const holds: Record<(typeof states)[number], readonly string[]> = {
    'never written': ['none', 'absent'],
    present: ['none', 'version equals', 'value equals'],
    deleted: ['none', 'absent'],
  };
  const cases = states.flatMap((state) =>
    Object.keys(conditions).flatMap((name) =>
      (['put', 'delete'] as const).flatMap((type) =>
        (['in flight', 'applied', 'same batch'] as const).map((where) => ({ state, name, type, where })),
      ),
    ),
  );

  it.each(cases)('$type, $name, on $state ($where)', async ({ state, name, type, where }) => {
    const leader = new Leader();
    const before = state === 'never written' ? [] : [put('k', 'old'), ...(state === 'deleted' ? [del('k')] : [])];
    const condition = conditions[name];
    const operation = type === 'put' ? put('k', 'new', condition) : del('k', condition);
    let results: readonly OperationResult[];
    if (where === 'same batch') {
      results = await leader.propose(...before, operation);
    } else {
      if (before.length > 0) await leader.propose(...before);
      if (where === 'applied') await leader.applyAll();
      results = await leader.propose(operation);
    }
    const result = results.at(-1);
    const written = Timestamp(1000 + before.length);
    if (!holds[state].includes(name)) {
      const current = state === 'present' ? { version, value: utf8('old') } : undefined;
      expect(result).toEqual({ type: 'conditionFailed', current });
    } else if (type === 'delete' && state !== 'present') {
      expect(result).toEqual({ type: 'nothingDeleted' });
    } else {
      expect(result).toEqual({ type: 'written', version: written });
    }
    await leader.applyAll();
    const read = await (await leader.machine()).read(utf8('k'), Timestamp(5000));
    const changed = result?.type === 'written';
    if (changed) expect(read).toEqual(type === 'put' ? { version: written, value: utf8('new') } : undefined);
    else expect(read).toEqual(state === 'present' ? { version, value: utf8('old') } : undefined);
  });
});
