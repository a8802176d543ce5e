/** The search against a twin that tries every order, on many small random histories of every model. */
import { describe, expect, test } from 'vitest';
import {
  appendStringModel,
  checkHistory,
  counterModel,
  impossible,
  registerModel,
  setModel,
  versionedRegisterModel,
  type AppendStringInput,
  type CounterInput,
  type Model,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  type SetInput,
  type SetOutput,
  type VersionedRegisterInput,
} from '../../../jepsen-lite/checker/check.js';
import { Prng } from '../../../src/base/prng.js';
import { isLinearizableByBruteForce } from './brute-force.js';

/**
 * A history with times at random. Answers are mostly those of one random order, so that both verdicts are common;
 * the others are those of a random state.
 */
function randomHistory<S, I, O>(
  prng: Prng,
  model: Model<S, I, O>,
  draw: { readonly input: () => I; readonly answers: (input: I) => readonly O[]; readonly unknownChance?: number },
): Operation<I, O>[] {
  const count = prng.int(1, 6);
  let state = model.init();
  const history: Operation<I, O>[] = [];
  for (let index = 0; index < count; index++) {
    const input = draw.input();
    const call = prng.int(0, 8) + index * 2;
    const allowed = draw.answers(input).filter((output) => model.step(state, input, output) !== impossible);
    const output = prng.pick(prng.chance(0.8) && allowed.length > 0 ? allowed : draw.answers(input));
    const next = model.step(state, input, output);
    if (next !== impossible) state = next;
    const place = { client: index, call, input };
    if (prng.chance(draw.unknownChance ?? 0.2)) history.push({ ...place, return: undefined, output: undefined });
    else history.push({ ...place, return: call + prng.int(0, 8), output });
  }
  return prng.shuffle(history);
}

function expectAgreement<S, I, O>(
  seed: number,
  model: Model<S, I, O>,
  drawFrom: (prng: Prng) => Parameters<typeof randomHistory<S, I, O>>[2],
): void {
  const histories = 2000;
  const prng = new Prng(seed);
  const draw = drawFrom(prng);
  let linearizable = 0;
  for (let round = 0; round < histories; round++) {
    const history = randomHistory(prng, model, draw);
    const expected = isLinearizableByBruteForce(model, history);
    const verdict = checkHistory({ model, history, now: () => 0 }).verdict;
    if (verdict !== (expected ? 'linearizable' : 'notLinearizable')) {
      expect.fail(
        `seed ${seed}, round ${round}: ${verdict}, but brute force says otherwise: ${JSON.stringify(history)}`,
      );
    }
    if (expected) linearizable++;
  }
  // Otherwise the comparison would say little.
  expect(linearizable).toBeGreaterThan(histories * 0.15);
  expect(linearizable).toBeLessThan(histories * 0.85);
}

describe('agrees with brute force', () => {
  const values = ['a', 'b'];

  test('on registers', () => {
    expectAgreement(1, registerModel, (prng) => ({
      input: (): RegisterInput =>
        prng.pick<RegisterInput>([
          { type: 'read' },
          { type: 'read' },
          { type: 'write', value: prng.pick(values) },
          { type: 'delete' },
          { type: 'cas', expected: prng.pick([null, ...values]), value: prng.pick([null, ...values]) },
        ]),
      answers: ({ type }): readonly RegisterOutput[] => {
        if (type === 'read') return [null, ...values].map((value) => ({ type: 'value', value }));
        if (type === 'write') return [{ type: 'done' }];
        if (type === 'delete') return [{ type: 'done' }, { type: 'nothingDeleted' }];
        return [{ type: 'done' }, { type: 'refused' }, { type: 'refused', current: 'a' }];
      },
    }));
  });

  test('on registers of distinct values, most writes of unknown outcome', () => {
    expectAgreement(6, registerModel, (prng) => {
      let written = 0;
      const recent = (): string => `v${prng.int(Math.max(0, written - 4), written)}`;
      return {
        unknownChance: 0.5,
        input: (): RegisterInput =>
          prng.pick<RegisterInput>([
            { type: 'read' },
            { type: 'read' },
            { type: 'write', value: `v${++written}` },
            { type: 'write', value: recent() },
            { type: 'delete' },
            { type: 'cas', expected: prng.pick([null, recent()]), value: prng.pick([null, `v${++written}`]) },
          ]),
        answers: (input): readonly RegisterOutput[] => {
          const values = [null, 'v1', ...Array.from({ length: 5 }, (_, i) => `v${written - i}`)];
          if (input.type === 'read') return values.map((value) => ({ type: 'value', value }));
          if (input.type === 'write') return [{ type: 'done' }];
          if (input.type === 'delete') return [{ type: 'done' }, { type: 'nothingDeleted' }];
          const refused = values.map((current) => ({ type: 'refused', current }) as const);
          return [{ type: 'done' }, ...refused, ...(prng.chance(0.1) ? [{ type: 'refused' } as const] : [])];
        },
      };
    });
  });

  test('on versioned registers', () => {
    const versions = [1, 2, 3, 4];
    expectAgreement(2, versionedRegisterModel, (prng) => ({
      input: (): VersionedRegisterInput =>
        prng.pick<VersionedRegisterInput>([
          { type: 'read' },
          { type: 'write', value: prng.pick([null, ...values]) },
          { type: 'cas', expectedVersion: prng.pick([null, ...versions]), value: prng.pick(values) },
        ]),
      answers: ({ type }) => {
        const current = [null, ...versions.flatMap((version) => values.map((value) => ({ version, value })))];
        if (type === 'read') return current.map((one) => ({ type: 'value', current: one }));
        const written = versions.map((version) => ({ type: 'written', version }) as const);
        return type === 'write' ? written : [...written, { type: 'refused', current: prng.pick(current) }];
      },
    }));
  });

  test('on append-strings', () => {
    expectAgreement(3, appendStringModel, (prng) => ({
      input: (): AppendStringInput =>
        prng.pick<AppendStringInput>([
          { type: 'get' },
          { type: 'get' },
          { type: 'append', value: prng.pick(values) },
          { type: 'put', value: prng.pick(values) },
        ]),
      answers: ({ type }) => {
        if (type !== 'get') return [{ type: 'done' }];
        return ['', 'a', 'b', 'ab', 'ba', 'aa', 'aab'].map((value) => ({ type: 'value', value }));
      },
    }));
  });

  test('on sets', () => {
    expectAgreement(4, setModel, (prng) => ({
      input: (): SetInput => {
        const element = prng.pick(values);
        return prng.pick<SetInput>([
          { type: 'add', element },
          { type: 'remove', element },
          { type: 'contains', element },
          { type: 'readAll' },
        ]);
      },
      answers: ({ type }): readonly SetOutput[] => {
        if (type === 'readAll')
          return [[], ['a'], ['b'], ['b', 'a']].map((elements) => ({ type: 'elements', elements }));
        if (type === 'contains') return [true, false].map((found) => ({ type: 'contains', found }));
        return [{ type: 'done' }, { type: 'done', changed: true }, { type: 'done', changed: false }];
      },
    }));
  });

  test('on counters', () => {
    expectAgreement(5, counterModel, (prng) => ({
      input: (): CounterInput => (prng.chance(0.5) ? { type: 'read' } : { type: 'add', delta: prng.int(-1, 2) }),
      answers: ({ type }) => {
        const sums = [0, 1, 2, 3].map((value) => ({ type: 'value', value }) as const);
        return type === 'read' ? sums : [{ type: 'done' }, ...sums];
      },
    }));
  });
});
