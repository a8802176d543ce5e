/** Generated records: keys and values that are awkward for files, shells and sorting. */
import { Prng } from '../../src/base/prng.js';

export interface TextRecord {
  readonly key: string;
  readonly value: string;
}

const firstCharacters = [
  ...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
  'é',
  'ß',
  '漢',
  '🚀',
  '\uffff',
];
const pieces = [
  'plain text, ',
  'a line\nand another\r\n',
  '"quoted" \\ and /slashed/ ',
  '\u0000\u0001\t\u001f',
  'naïve café – ',
  '漢字かな ',
  '🚀👩‍🚀 ',
  '\u2028\u2029\ufeff',
];

/** `count` records of different keys, spread over the key space; most values are short, the longest about 20 KB. */
export function generateRecords(options: { seed: number; count: number }): TextRecord[] {
  const random = new Prng(options.seed);
  return Array.from({ length: options.count }, (_, i) => {
    const key = `${random.pick(firstCharacters)}/${random.pick(pieces)}/${i}`;
    const length = 50 + Math.floor(10_000 * random.float() ** 6);
    let value = '';
    while (value.length < length) value += random.pick(pieces);
    return { key, value };
  });
}

export function toNdjson(records: Iterable<TextRecord>): string {
  let text = '';
  for (const { key, value } of records) text += `${JSON.stringify({ key, value })}\n`;
  return text;
}

/** The records as the store has them: by the bytes of their keys, the last one of each key. */
export function sortedByKey(records: Iterable<TextRecord>): TextRecord[] {
  const last = new Map<string, TextRecord>();
  for (const record of records) last.set(record.key, record);
  return [...last.values()].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}
