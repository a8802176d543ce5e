/** The part of EDN (extensible data notation) that recorded histories use. */
export type EdnValue =
  null | number | string | { readonly keyword: string } | readonly EdnValue[] | ReadonlyMap<string, EdnValue>;

/** Text that is not EDN, or uses a part of it that is not read here. */
export class EdnError extends Error {
  override readonly name = 'EdnError';
}

const token = /[\s,]*([{}[\]]|"(?:[^"\\]|\\.)*"|[^\s,{}[\]"]+|$)/y;
const escapes = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['"', '"'],
  ['\\', '\\'],
]);

/**
 * Reads one value: nil, an integer, a string, a keyword, a vector, or a map whose keys are keywords.
 *
 * @throws EdnError with the column (from 1) where reading stopped.
 */
export function parseEdn(text: string): EdnValue {
  const tokens = new Tokens(text);
  const value = parseValue(tokens);
  if (tokens.peek() !== '') throw tokens.error('the end of the line');
  return value;
}

/** Histories have values in maps and vectors of operations: three or four. */
const depthMax = 64;

class Tokens {
  readonly #text: string;
  #start = 0;
  #end = 0;
  #current = '';

  constructor(text: string) {
    this.#text = text;
    this.take();
  }

  /** The next token; empty at the end. */
  peek(): string {
    return this.#current;
  }

  take(): string {
    const taken = this.#current;
    token.lastIndex = this.#end;
    const match = token.exec(this.#text);
    this.#start = this.#end;
    if (match === null) throw this.error('a token');
    this.#current = match[1];
    this.#end = token.lastIndex;
    this.#start = this.#end - this.#current.length;
    return taken;
  }

  error(expected: string): EdnError {
    const found = this.#start >= this.#text.length ? 'the end' : this.#text.slice(this.#start, this.#start + 20);
    return new EdnError(`column ${this.#start + 1}: expected ${expected}, found ${found}`);
  }
}

function parseValue(tokens: Tokens, depth = 0): EdnValue {
  const next = tokens.peek();
  if (depth === depthMax && (next === '[' || next === '{'))
    throw tokens.error(`at most ${depthMax} values inside each other`);
  if (next === '[') return parseVector(tokens, depth + 1);
  if (next === '{') return parseMap(tokens, depth + 1);
  if (next.startsWith('"')) return unescape(tokens.take());
  if (next === 'nil') return tokens.take() && null;
  if (/^:[^:]/.test(next)) return { keyword: tokens.take().slice(1) };
  if (/^[+-]?\d+$/.test(next) && Number.isSafeInteger(Number(next))) return Number(tokens.take());
  throw tokens.error('a value');
}

function parseVector(tokens: Tokens, depth: number): readonly EdnValue[] {
  tokens.take();
  const items: EdnValue[] = [];
  while (tokens.peek() !== ']') items.push(parseValue(tokens, depth));
  tokens.take();
  return items;
}

function parseMap(tokens: Tokens, depth: number): ReadonlyMap<string, EdnValue> {
  tokens.take();
  const entries = new Map<string, EdnValue>();
  while (tokens.peek() !== '}') {
    if (!tokens.peek().startsWith(':')) throw tokens.error('a keyword or }');
    const key = tokens.take().slice(1);
    entries.set(key, parseValue(tokens, depth));
  }
  tokens.take();
  return entries;
}

function unescape(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(.)/g, (whole, letter: string) => {
    const meant = escapes.get(letter);
    if (meant === undefined) throw new EdnError(`string escape ${whole} is not known`);
    return meant;
  });
}
