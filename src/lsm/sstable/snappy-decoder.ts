/**
 * Decompresses blocks in lent memory, by a loop in WebAssembly: three times as fast as the package that compresses them, and six
 * times as fast as the same loop in JavaScript (docs/decisions/2026-11-21-lsm-compression.md).
 *
 * The form is Snappy's (format_description.txt of google/snappy): a length, which is read elsewhere, then elements, each some
 * bytes as they are or a copy of bytes before. Of an element the lowest two bits say which, the others how long it is.
 */
import { DecodeError } from '../../base/coding.js';
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
  or,
  repeatWhile,
  shiftLeft,
  shiftRight,
  store8,
  subtract,
  when,
  type WasmFunction,
} from '../../base/wasm.js';

const kib = 1024;

/** Larger blocks are rare, and cost more to read than to make room for. */
export const lentBytesMax = 64 * kib;
const contentsBytesMax = 64 * kib;
/** Bytes are copied by eight, and numbers read by four: what is beyond the end is written over, or not looked at. */
const excessBytes = 8;
/** What was read is at the start of the lent memory; behind it are contents, from here on. */
const contentsStart = lentBytesMax + excessBytes;

/** What {@link decode} gives back. */
const done = 0;
const badDistance = 1;
const badLength = 2;

/** Parameters: where the elements are and end, and where the contents go and end. */
function decodeFunction(): WasmFunction {
  const [at, end, to, toEnd, start, tag, type, length, from, elementEnd] = locals();
  const skip = (bytes: number) => at.set(add(at, bytes));
  const literal = [
    when(isAbove(length, 60), [
      // So many bytes of length less one.
      type.set(subtract(length, 60)),
      length.set(add(and(load32(at), shiftRight(-1, subtract(32, shiftLeft(type, 3)))), 1)),
      at.set(add(at, type)),
    ]),
    from.set(at),
    at.set(add(at, length)),
  ];
  const copy = [
    when(
      isEqual(type, 1),
      [
        from.set(or(shiftLeft(shiftRight(tag, 5), 8), load8(at))),
        length.set(add(and(shiftRight(tag, 2), 7), 4)),
        skip(1),
      ],
      [when(isEqual(type, 2), [from.set(load16(at)), skip(2)], [from.set(load32(at)), skip(4)])],
    ),
    // The distance; 0 is as wrong as one that reaches to before the start.
    when(isAtLeast(subtract(from, 1), subtract(to, start)), [giveBack(badDistance)]),
    from.set(subtract(to, from)),
  ];
  const element = [
    tag.set(load8(at)),
    skip(1),
    type.set(and(tag, 3)),
    length.set(add(shiftRight(tag, 2), 1)),
    when(isEqual(type, 0), literal, copy),
    // A literal of 2^32 bytes has none by now.
    when(or(isAbove(at, end), isAtLeast(subtract(length, 1), subtract(toEnd, to))), [giveBack(badLength)]),
    elementEnd.set(add(to, length)),
    when(
      isAtLeast(subtract(to, from), 8),
      [repeatWhile(isBelow(to, elementEnd), [copy8Bytes(to, from), to.set(add(to, 8)), from.set(add(from, 8))])],
      [repeatWhile(isBelow(to, elementEnd), [store8(to, load8(from)), to.set(add(to, 1)), from.set(add(from, 1))])],
    ),
    to.set(elementEnd),
  ];
  return {
    parameters: 4,
    locals: 10,
    body: [
      start.set(to),
      when(isBelow(to, toEnd), [repeatWhile(isBelow(to, toEnd), element)]),
      when(isBelow(at, end), [giveBack(badLength)]),
      giveBack(done),
    ],
  };
}

const { memory, call: decode } = instantiate(decodeFunction(), contentsStart + contentsBytesMax + excessBytes);

/** For lent-bytes.ts, which lends what is before the contents. */
export const lentMemory = memory;

/** Whether a block with so many bytes, of so long contents, is small enough for {@link decodeLent}. */
export function fitsLentMemory(storedBytes: number, length: number): boolean {
  return storedBytes <= lentBytesMax && length <= contentsBytesMax;
}

/**
 * The contents, in lent memory too, of the elements there from `from` to `end`. Throws a DecodeError unless they have `length`
 * bytes.
 */
export function decodeLent(from: number, end: number, length: number): Uint8Array {
  const result = decode(from, end, contentsStart, contentsStart + length);
  if (result === badDistance) throw new DecodeError('a block copies bytes from before its start');
  if (result !== done) throw new DecodeError('a block decompresses wrongly');
  return memory.subarray(contentsStart, contentsStart + length);
}
