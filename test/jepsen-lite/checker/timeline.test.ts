import { describe, expect, test } from 'vitest';
import {
  appendStringModel,
  checkHistory,
  registerModel,
  type AppendStringInput,
  type AppendStringOutput,
  type Failure,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  type RegisterValue,
} from '../../../jepsen-lite/checker/check.js';
import { describeFailure } from '../../../jepsen-lite/checker/timeline/describe-failure.js';
import { layOut, shorten } from '../../../jepsen-lite/checker/timeline/layout.js';
import { placePath } from '../../../jepsen-lite/checker/timeline/path.js';
import { renderTimeline } from '../../../jepsen-lite/checker/timeline/render.js';
import { Prng } from '../../../src/base/prng.js';
import { RegisterStore, registerInputs } from './register-store.js';
import { recordClients } from './simulated-clients.js';

type RegisterFailure = Failure<RegisterValue, RegisterInput, RegisterOutput>;

/** Long concurrent histories that end in a read of a value that nobody wrote. */
function longFailure(seed: number): RegisterFailure {
  const prng = new Prng(seed);
  const nextInput = registerInputs(prng.split('inputs'));
  const load = { clients: 6, keys: 1, operations: 150, unknownChance: 0.05 };
  const history = recordClients({ prng, object: new RegisterStore(), nextInput, ...load });
  const end = Math.max(...history.map((operation) => operation.return ?? operation.call));
  const output: RegisterOutput = { type: 'value', value: 'never written' };
  history.push({ client: 0, key: 'k0', call: end - 3, return: end - 1, input: { type: 'read' }, output });
  const { failure } = checkHistory({ model: registerModel, history, now: () => 0 });
  if (failure === undefined) throw new Error('the history must fail');
  return failure;
}

const failures = Array.from({ length: 25 }, (_, seed) => longFailure(seed));

describe('layout', () => {
  test('bars overlap exactly where operations do, and never in a row', () => {
    for (const failure of failures) {
      const { bars, lanes } = layOut(registerModel, failure);
      for (const a of bars) {
        for (const b of bars) {
          if (a === b) continue;
          const before = (failure.operations[a.operation].return ?? Infinity) < failure.operations[b.operation].call;
          expect(a.right < b.left).toBe(before);
          if (a.lane === b.lane) expect(a.right < b.left || b.right < a.left).toBe(true);
        }
        expect(lanes[a.lane]).toBe(failure.operations[a.operation].client);
      }
    }
  });

  test('draws the operation that fits nowhere, and says how many it leaves out', () => {
    for (const failure of failures) {
      const { bars, hiddenCount, stuckX } = layOut(registerModel, failure);
      expect(bars.find((bar) => bar.operation === failure.stuck)?.right).toBe(stuckX);
      expect(bars.length + hiddenCount).toBe(failure.operations.length);
      expect(hiddenCount).toBeGreaterThan(0);
      expect(bars.length).toBeLessThan(60);
    }
  });

  test('shortens long labels in the middle', () => {
    expect(shorten('abcdefghij', 10)).toBe('abcdefghij');
    expect(shorten('abcdefghij', 5)).toBe('ab…ij');
    expect(shorten('abcdefghij', 2)).toBe('…j');
  });
});

test('operations take effect on their bars, from left to right', () => {
  for (const failure of failures) {
    const layout = layOut(registerModel, failure);
    for (const attempt of failure.attempts) {
      const { points, states } = placePath(registerModel, attempt, layout);
      points.forEach(({ x, bar, order }, position) => {
        expect(order).toBe(position + 1);
        expect(x).toBeGreaterThan(bar.left);
        expect(x).toBeLessThan(bar.right);
        if (position > 0) expect(x).toBeGreaterThanOrEqual(points[position - 1].x);
      });
      for (let at = 1; at < states.length; at++) expect(states[at].left).toBe(states[at - 1].right);
    }
  }
});

describe('page', () => {
  const history: Operation<AppendStringInput, AppendStringOutput>[] = [
    { client: 1, key: 'k', call: 0, return: 1, input: { type: 'append', value: 'a' }, output: { type: 'done' } },
    { client: 2, key: 'k', call: 2, return: 4, input: { type: 'append', value: '<b>&' }, output: { type: 'done' } },
    { client: 3, key: 'k', call: 3, return: undefined, input: { type: 'append', value: 'c' }, output: undefined },
    { client: 1, key: 'k', call: 5, return: 7, input: { type: 'get' }, output: { type: 'value', value: 'a' } },
    { client: 2, key: 'k', call: 6, return: 8, input: { type: 'get' }, output: { type: 'value', value: '' } },
  ];
  const { failure } = checkHistory({ model: appendStringModel, history, now: () => 0 });
  if (failure === undefined) throw new Error('the history must fail');
  const page = renderTimeline({ model: appendStringModel, failure, title: 'a <test>' });

  test('is the golden one', async () => {
    await expect(page).toMatchFileSnapshot('testdata/timeline.html.golden');
  });

  test('has all texts escaped, no script and nothing from elsewhere', () => {
    expect(page).toContain('a &lt;test&gt;');
    expect(page).not.toMatch(/<b>|<script|https?:|url\(/);
  });

  test('closes every element that it opens', () => {
    const open: string[] = [];
    for (const [, slash, name, selfClosing] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*?(\/?)>/g)) {
      if (slash === '/') expect(open.pop()).toBe(name);
      else if (selfClosing === '' && !['meta', 'input'].includes(name)) open.push(name);
    }
    expect(open).toEqual([]);
  });

  test('agrees with the sentence for people', () => {
    expect(describeFailure(appendStringModel, failure)).toMatchInlineSnapshot(
      `"client 1, get → "a": no order explains it; key "k" could only be "a<b>&c" or "ac<b>&" or "a<b>&""`,
    );
  });
});
