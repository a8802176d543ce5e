/**
 * A small assembler of WebAssembly, for the few loops over bytes that JavaScript cannot do well: it has no unaligned words and
 * looks at the bounds of an array with every byte. Functions of whole numbers of 32 bits over one memory, and no more.
 *
 * Code is a list of bytes. What computes leaves its result for what takes it, so that putting codes behind each other is all
 * there is to do; a wrong one is found when the module is made. (WebAssembly Core Specification, 5: Binary Format.)
 */
import { utf8 } from './bytes.js';

type Code = readonly number[];

/** A variable of a function; its parameters are the first ones. */
export class Local {
  readonly #index: number;

  constructor(index: number) {
    this.#index = index;
  }

  get code(): Code {
    return [0x20, ...unsigned(this.#index)];
  }

  set(value: Operand): Code {
    return [...codeOf(value), 0x21, ...unsigned(this.#index)];
  }
}

/** What computes a number: code, a variable or a constant. */
export type Operand = Code | Local | number;

function codeOf(operand: Operand): Code {
  if (operand instanceof Local) return operand.code;
  return typeof operand === 'number' ? [0x41, ...signed(operand)] : operand;
}

type Binary = (a: Operand, b: Operand) => Code;

const binary =
  (opcode: number): Binary =>
  (a, b) => [...codeOf(a), ...codeOf(b), opcode];

/** All numbers are without a sign, modulo 2^32. */
export const [isEqual, isBelow, isAbove, isAtLeast] = [0x46, 0x49, 0x4b, 0x4f].map(binary);
export const [add, subtract, multiply] = [0x6a, 0x6b, 0x6c].map(binary);
export const [and, or, xor, shiftLeft, shiftRight] = [0x71, 0x72, 0x73, 0x74, 0x76].map(binary);

/** How many of the lowest bits are 0. */
export function trailingZeros(value: Operand): Code {
  return [...codeOf(value), 0x68];
}

const load =
  (opcode: number) =>
  (address: Operand): Code => [...codeOf(address), opcode, 0, 0];

/** Little-endian; addresses are of any alignment. */
export const [load8, load16, load32] = [0x2d, 0x2f, 0x28].map(load);

const store =
  (opcode: number) =>
  (address: Operand, value: Operand): Code => [...codeOf(address), ...codeOf(value), opcode, 0, 0];

export const [store8, store16, store32] = [0x3a, 0x3b, 0x36].map(store);

/** Copies 8 bytes: reads all of them before it writes the first. */
export function copy8Bytes(to: Operand, from: Operand): Code {
  return [...codeOf(to), ...codeOf(from), 0x29, 0, 0, 0x37, 0, 0];
}

const blockWithoutResult = 0x40;

export function when(condition: Operand, then: readonly Code[], otherwise: readonly Code[] = []): Code {
  const alternative = otherwise.length === 0 ? [] : [0x05, ...otherwise.flat()];
  return [...codeOf(condition), 0x04, blockWithoutResult, ...then.flat(), ...alternative, 0x0b];
}

/** Once, and again as long as the condition holds then. */
export function repeatWhile(condition: Operand, body: readonly Code[]): Code {
  return [0x03, blockWithoutResult, ...body.flat(), ...codeOf(condition), 0x0d, 0, 0x0b];
}

export function giveBack(value: Operand): Code {
  return [...codeOf(value), 0x0f];
}

export interface WasmFunction {
  readonly parameters: number;
  /** All variables, parameters included. */
  readonly locals: number;
  /** Gives back a number wherever it ends. */
  readonly body: readonly Code[];
}

/** As many variables as are wanted, beginning with the parameters. */
export function* locals(): Generator<Local, never> {
  for (let index = 0; ; index++) yield new Local(index);
}

interface Runtime {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
}

/** Of Node; its types do not have it. `node --jitless` has none. */
const { WebAssembly: runtime } = globalThis as unknown as { readonly WebAssembly: Runtime | undefined };
if (runtime === undefined) throw new Error('Quorate needs WebAssembly, which is switched off here (node --jitless)');
const { Memory, Module, Instance } = runtime;

const pageBytes = 64 * 1024;
const i32 = 0x7f;

/** The function, to be called with and to give back numbers from −2^31 to 2^31 − 1, and the memory that it works on. */
export function instantiate(
  { parameters, locals: count, body }: WasmFunction,
  memoryBytes: number,
): { readonly memory: Uint8Array; readonly call: (...args: number[]) => number } {
  const pages = Math.ceil(memoryBytes / pageBytes);
  const code = [...list([[...unsigned(count - parameters), i32]]), ...body.flat(), 0x0b];
  const module = new Module(
    Uint8Array.of(
      ...[...utf8('\0asm'), 1, 0, 0, 0],
      ...section(1, list([[0x60, ...list(Array.from({ length: parameters }, () => [i32])), ...list([[i32]])]])),
      ...section(2, list([[...text('env'), ...text('memory'), 0x02, 0x00, ...unsigned(pages)]])),
      ...section(3, list([[0]])),
      ...section(7, list([[...text('call'), 0x00, 0x00]])),
      ...section(10, list([[...unsigned(code.length), ...code]])),
    ),
  );
  const memory = new Memory({ initial: pages, maximum: pages });
  const { exports } = new Instance(module, { env: { memory } });
  return { memory: new Uint8Array(memory.buffer), call: exports.call as (...args: number[]) => number };
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function text(name: string): Code {
  return list([...utf8(name)].map((byte) => [byte]));
}

/** LEB128. */
function unsigned(number: number): Code {
  return number < 0x80 ? [number] : [(number & 0x7f) | 0x80, ...unsigned(number >>> 7)];
}

function signed(number: number): Code {
  const byte = number & 0x7f;
  const rest = number >> 7;
  const isLast = rest === ((byte & 0x40) === 0 ? 0 : -1);
  return isLast ? [byte] : [byte | 0x80, ...signed(rest)];
}
