import { expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import {
  add,
  and,
  copy8Bytes,
  giveBack,
  instantiate,
  isAbove,
  isAtLeast,
  isBelow,
  isEqual,
  load16,
  load32,
  load8,
  locals,
  multiply,
  or,
  repeatWhile,
  shiftLeft,
  shiftRight,
  store16,
  store32,
  store8,
  subtract,
  trailingZeros,
  when,
  xor,
  type Local,
  type Operand,
} from '../../src/base/wasm.js';

/** What the code makes of two numbers. */
function evaluate(code: (a: Local, b: Local) => Operand): (a: number, b: number) => number {
  const [a, b] = locals();
  return instantiate({ parameters: 2, locals: 2, body: [giveBack(code(a, b))] }, 1).call;
}

it('numbers of 32 bits are reckoned with as in JavaScript, and compared without a sign', () => {
  const twins: [(a: Local, b: Local) => Operand, (a: number, b: number) => number][] = [
    [add, (a, b) => (a + b) | 0],
    [subtract, (a, b) => (a - b) | 0],
    [multiply, (a, b) => Math.imul(a, b)],
    [and, (a, b) => a & b],
    [or, (a, b) => a | b],
    [xor, (a, b) => a ^ b],
    [shiftLeft, (a, b) => a << b],
    [shiftRight, (a, b) => (a >>> b) | 0],
    [isEqual, (a, b) => Number(a === b)],
    [isBelow, (a, b) => Number(a >>> 0 < b >>> 0)],
    [isAbove, (a, b) => Number(a >>> 0 > b >>> 0)],
    [isAtLeast, (a, b) => Number(a >>> 0 >= b >>> 0)],
    [(a) => trailingZeros(a), (a) => (a === 0 ? 32 : 31 - Math.clz32(a & -a))],
  ];
  const random = new Prng(1);
  const numbers = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), ...Array.from({ length: 20 }, () => random.int(0, 2 ** 32) | 0)];
  for (const [code, twin] of twins) {
    const ours = evaluate(code);
    for (const a of numbers)
      for (const b of numbers) expect(ours(a, b), `${String(twin)} of ${a}, ${b}`).toBe(twin(a, b));
  }
});

it('a constant is what it was', () => {
  const powers = Array.from({ length: 32 }, (_, bit) => 1 << bit);
  for (const constant of [0, ...powers.flatMap((power) => [power, power - 1, -power, ~power]).map((n) => n | 0)]) {
    expect(evaluate(() => constant)(0, 0)).toBe(constant);
  }
});

it('memory is read and written in bytes and words of any alignment', () => {
  const [at, value] = locals();
  const body = [
    store8(at, value),
    store16(add(at, 1), value),
    store32(add(at, 3), value),
    copy8Bytes(add(at, 7), at),
    giveBack(xor(xor(load8(at), load16(add(at, 1))), load32(add(at, 3)))),
  ];
  const { memory, call } = instantiate({ parameters: 2, locals: 2, body }, 100);
  expect(memory.length).toBe(65_536);
  expect(call(5, 0x12345678)).toBe(0x78 ^ 0x5678 ^ 0x12345678);
  const written = [0x78, 0x78, 0x56, 0x78, 0x56, 0x34, 0x12];
  expect([...memory.subarray(5, 20)]).toEqual([...written, ...written, 0]);
});

it('choices and loops end where they should', () => {
  const [count, sum] = locals();
  const body = [
    when(isAbove(count, 1000), [giveBack(-1)]),
    repeatWhile(count, [
      when(and(count, 1), [sum.set(add(sum, count))], [sum.set(add(sum, 1))]),
      count.set(subtract(count, 1)),
    ]),
    giveBack(sum),
  ];
  const { call } = instantiate({ parameters: 1, locals: 2, body }, 1);
  expect([call(1), call(4), call(1000), call(1001)]).toEqual([1, 1 + 3 + 2, 250_000 + 500, -1]);
});
