/** Good histories pass; the same with one thing wrong, as a faulty store would answer, are caught. */
import { describe, expect, test } from 'vitest';
import {
  appendStringModel,
  checkHistory,
  registerModel,
  type AppendStringInput,
  type AppendStringOutput,
  type Model,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
} from '../../../jepsen-lite/checker/check.js';
import { Prng } from '../../../src/base/prng.js';
import { RegisterStore, registerInputs } from './register-store.js';
import { recordClients, type SimulatedObject } from './simulated-clients.js';

const seeds = Array.from({ length: 40 }, (_, index) => 1000 + index);

function verdictOf<S, I, O>(model: Model<S, I, O>, history: readonly Operation<I, O>[]): string {
  return checkHistory({ model, history, now: () => 0 }).verdict;
}

function registerHistory(seed: number): Operation<RegisterInput, RegisterOutput>[] {
  const prng = new Prng(seed);
  const nextInput = registerInputs(prng.split('inputs'));
  const load = { clients: 8, keys: 3, operations: 300, unknownChance: 0.02 };
  return recordClients({ prng, object: new RegisterStore(), nextInput, ...load });
}

/** Answers as the fault says; `armed` lets it do so at one chosen write. */
class AppendStore implements SimulatedObject<AppendStringInput, AppendStringOutput> {
  readonly #values = new Map<string, string>();
  readonly #faultyAppend: number;
  readonly #fault: 'none' | 'dropped' | 'duplicated';
  #appends = 0;

  constructor(fault: 'none' | 'dropped' | 'duplicated', faultyAppend: number) {
    this.#fault = fault;
    this.#faultyAppend = faultyAppend;
  }

  apply(key: string, input: AppendStringInput): AppendStringOutput {
    const current = this.#values.get(key) ?? '';
    if (input.type === 'get') return { type: 'value', value: current };
    const times = this.#appends++ === this.#faultyAppend ? { none: 1, dropped: 0, duplicated: 2 }[this.#fault] : 1;
    this.#values.set(key, current + input.value.repeat(times));
    return { type: 'done' };
  }
}

function appendHistory(
  seed: number,
  fault: 'none' | 'dropped' | 'duplicated',
): Operation<AppendStringInput, AppendStringOutput>[] {
  const prng = new Prng(seed);
  let appended = 0;
  const nextInput = (): AppendStringInput =>
    prng.chance(0.5) ? { type: 'get' } : { type: 'append', value: `<${appended++}>` };
  // Early enough that reads follow on the same key.
  const object = new AppendStore(fault, prng.int(0, 60));
  return recordClients({ prng, object, nextInput, clients: 8, keys: 3, operations: 300, unknownChance: 0 });
}

describe.each(seeds)('seed %i', (seed) => {
  test('the good histories pass', () => {
    expect(verdictOf(registerModel, registerHistory(seed))).toBe('linearizable');
    expect(verdictOf(appendStringModel, appendHistory(seed, 'none'))).toBe('linearizable');
  });

  test('a read that returns a value overwritten before its call', () => {
    const history = registerHistory(seed);
    const candidates = history.flatMap((read, index) => {
      if (read.input.type !== 'read' || read.return === undefined) return [];
      const older = overwrittenBefore(history, read);
      return older.length === 0 ? [] : [{ index, older }];
    });
    const { index, older } = new Prng(seed).pick(candidates);
    history[index] = { ...history[index], output: { type: 'value', value: new Prng(seed).pick(older) } };
    expect(verdictOf(registerModel, history)).toBe('notLinearizable');
  });

  test('a write whose effect was seen but which nobody made', () => {
    const history = registerHistory(seed);
    const seen = new Set(history.map(({ output }) => (output?.type === 'value' ? output.value : undefined)));
    const candidates = history.filter(({ input }) => input.type === 'write' && seen.has(input.value));
    const dropped = new Prng(seed).pick(candidates);
    expect(verdictOf(registerModel, history.toSpliced(history.indexOf(dropped), 1))).toBe('notLinearizable');
  });

  test('an acknowledged append that had no effect', () => {
    expect(verdictOf(appendStringModel, appendHistory(seed, 'dropped'))).toBe('notLinearizable');
  });

  test('an append that took effect twice', () => {
    expect(verdictOf(appendStringModel, appendHistory(seed, 'duplicated'))).toBe('notLinearizable');
  });
});

/** Values whose write had returned before another write was called that had returned before `read` was called. */
function overwrittenBefore(
  history: readonly Operation<RegisterInput, RegisterOutput>[],
  read: Operation<RegisterInput, RegisterOutput>,
): string[] {
  const writes = history.filter(({ key, input }) => key === read.key && input.type === 'write');
  return writes.flatMap((write) => {
    const overwritten = writes.some(
      (later) => later.call > (write.return ?? Infinity) && (later.return ?? Infinity) < read.call,
    );
    return overwritten && write.input.type === 'write' ? [write.input.value] : [];
  });
}
