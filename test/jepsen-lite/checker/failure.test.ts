/** What a failed check shows is the truth: the part fails, its beginning does not, and the orders are orders. */
import { describe, expect, test } from 'vitest';
import {
  checkHistory,
  registerModel,
  type Failure,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  type RegisterValue,
} from '../../../jepsen-lite/checker/check.js';
import { finalState } from '../../../jepsen-lite/checker/timeline/describe-failure.js';
import { Prng } from '../../../src/base/prng.js';
import { explains, respectsTime } from './brute-force.js';
import { RegisterStore, registerInputs } from './register-store.js';
import { recordClients } from './simulated-clients.js';

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

/** Answers some reads with what the key held before its last change. */
class ForgetfulStore extends RegisterStore {
  readonly #before = new Map<string, RegisterValue>();
  readonly #prng: Prng;

  constructor(prng: Prng) {
    super();
    this.#prng = prng;
  }

  override apply(key: string, input: RegisterInput): RegisterOutput {
    if (input.type === 'read' && this.#prng.chance(0.05)) {
      return { type: 'value', value: this.#before.get(key) ?? null };
    }
    const current = this.values.get(key) ?? null;
    const output = super.apply(key, input);
    if (this.values.get(key) !== current) this.#before.set(key, current);
    return output;
  }
}

function failureOf(seed: number): Failure<RegisterValue, RegisterInput, RegisterOutput> | undefined {
  const prng = new Prng(seed);
  const nextInput = registerInputs(prng.split('inputs'));
  const load = { clients: 6, keys: 2, operations: 120, unknownChance: 0.03 };
  const history = recordClients({ prng, object: new ForgetfulStore(prng.split('faults')), nextInput, ...load });
  return checkHistory({ model: registerModel, history, now: () => 0 }).failure;
}

function verdictOf(history: readonly RegisterOperation[]): string {
  return checkHistory({ model: registerModel, history, now: () => 0 }).verdict;
}

describe('the failing part', () => {
  const failures = Array.from({ length: 60 }, (_, index) => failureOf(index)).filter((one) => one !== undefined);

  test('is found in most of these histories', () => {
    expect(failures.length).toBeGreaterThan(40);
  });

  test('fails by itself, and did not until the stuck operation returned', () => {
    for (const { operations, stuck } of failures) {
      expect(verdictOf(operations)).toBe('notLinearizable');
      const end = operations[stuck].return ?? Infinity;
      const justBefore = operations.map((operation) =>
        (operation.return ?? Infinity) < end ? operation : { ...operation, return: undefined, output: undefined },
      );
      expect(verdictOf(justBefore)).toBe('linearizable');
    }
  });

  test('shows orders that explain everything that returned before', () => {
    for (const { operations, stuck, attempts } of failures) {
      expect(attempts.length).toBeGreaterThan(0);
      const end = operations[stuck].return ?? Infinity;
      const returnedBefore = operations.flatMap(({ return: time }, index) => ((time ?? Infinity) < end ? [index] : []));
      for (const attempt of attempts) {
        const indexes = attempt.map((step) => step.operation);
        const order = indexes.map((index) => operations[index]);
        expect(new Set(indexes).size).toBe(indexes.length);
        expect(indexes).toEqual(expect.arrayContaining(returnedBefore));
        expect(respectsTime(order)).toBe(true);
        expect(explains(registerModel, order)).toBe(true);
      }
    }
  });

  test('shows each possible state once, and none that the stuck operation allows', () => {
    for (const { operations, stuck, attempts } of failures) {
      const states = attempts.map((attempt) => finalState(registerModel, attempt));
      expect(new Set(states).size).toBe(states.length);
      const { input, output } = operations[stuck];
      for (const state of states) expect(typeof registerModel.step(state, input, output)).toBe('symbol');
    }
  });
});
