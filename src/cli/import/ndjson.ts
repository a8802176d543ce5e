/**
 * NDJSON: a line of JSON for each record, `{"key": "…", "value": "…"}`. `keyBase64` and `valueBase64` stand for bytes
 * that are not UTF-8. A `version`, which `scan --json` prints, is ignored; any other property is refused.
 */
import { bytesOf, fromBase64, textOf } from '../text.js';
import { lineBytesMax, type ImportItem } from './record.js';

type Parsed = { readonly key: Uint8Array; readonly value: Uint8Array } | string;

const properties: ReadonlySet<string> = new Set(['key', 'keyBase64', 'value', 'valueBase64', 'version']);

/** The record in `line`, or why there is none. */
export function parseRecord(line: string): Parsed {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    return `not valid JSON: ${(error as Error).message}`;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'expected an object with key and value';
  const fields = json as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (!properties.has(name)) return `unknown property ${JSON.stringify(name)}`;
  }
  const key = field(fields, 'key');
  if (typeof key === 'string') return key;
  if (key.length === 0) return 'the key is empty';
  const value = field(fields, 'value');
  return typeof value === 'string' ? value : { key, value };
}

/** Bytes of `name` or `nameBase64`, or what is wrong with them. */
function field(fields: Record<string, unknown>, name: 'key' | 'value'): Uint8Array | string {
  const text = fields[name];
  const base64 = fields[`${name}Base64`];
  if (text !== undefined && base64 !== undefined) return `both ${name} and ${name}Base64`;
  if (base64 !== undefined) {
    if (typeof base64 !== 'string') return `${name}Base64 is ${kindOf(base64)}, not a string`;
    return fromBase64(base64) ?? `${name}Base64 is not valid base64`;
  }
  if (text === undefined) return `${name} is missing`;
  if (typeof text !== 'string') return `${name} is ${kindOf(text)}, not a string`;
  return bytesOf(text) ?? `${name} has half a surrogate pair, which is not a character`;
}

function kindOf(json: unknown): string {
  if (json === null) return 'null';
  if (Array.isArray(json)) return 'an array';
  return typeof json === 'object' ? 'an object' : `a ${typeof json}`;
}

/** Empty lines are skipped. Memory: one chunk of the input and one line. */
export async function* readNdjson(input: AsyncIterable<Uint8Array>): AsyncGenerator<ImportItem> {
  let line = 0;
  for await (const bytes of splitLines(input)) {
    line++;
    if (bytes === undefined) {
      yield bad(line, `longer than ${lineBytesMax} bytes`);
      continue;
    }
    const text = textOf(bytes);
    if (text === undefined) {
      yield bad(line, 'not valid UTF-8');
      continue;
    }
    const trimmed = (line === 1 ? text.replace(/^\uFEFF/, '') : text).trim();
    if (trimmed === '') continue;
    const parsed = parseRecord(trimmed);
    yield typeof parsed === 'string' ? bad(line, parsed) : { type: 'record', record: { ...parsed, line } };
  }
}

function bad(line: number, reason: string): ImportItem {
  return { type: 'bad', bad: { line, reason } };
}

const newline = 0x0a;

/** Lines without their line feed; undefined for one that is too long. A line may be a view of a chunk. */
async function* splitLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | undefined> {
  let pieces: Uint8Array[] = [];
  let piecesBytes = 0;
  const finish = (last: Uint8Array): Uint8Array | undefined => {
    const isTooLong = piecesBytes + last.length > lineBytesMax;
    const whole = isTooLong ? undefined : piecesBytes === 0 ? last : Buffer.concat([...pieces, last]);
    pieces = [];
    piecesBytes = 0;
    return whole;
  };
  for await (const chunk of input) {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      yield finish(chunk.subarray(from, at));
      from = at + 1;
    }
    const rest = chunk.subarray(from);
    piecesBytes += rest.length;
    if (piecesBytes > lineBytesMax) pieces = [];
    else if (rest.length > 0) pieces.push(rest);
  }
  if (piecesBytes > 0) yield finish(new Uint8Array(0));
}
