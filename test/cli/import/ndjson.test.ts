import { describe, expect, test } from 'vitest';

import { fromUtf8, utf8 } from '../../../src/base/bytes.js';
import { parseRecord, readNdjson } from '../../../src/cli/import/ndjson.js';
import { lineBytesMax } from '../../../src/cli/import/record.js';
import { chunked, collect, summary } from './items.js';

describe('one line', () => {
  test.each([
    ['{"key":"a","value":"b"}', 'a', 'b'],
    ['{"value":"","key":"é\\u0000"}', 'é\0', ''],
    ['{"key":"a","value":"b","version":7}', 'a', 'b'],
    ['{"keyBase64":"/w==","value":"b"}', '\xff', 'b'],
  ])('%s', (line, key, value) => {
    const parsed = parseRecord(line);
    if (typeof parsed === 'string') throw new Error(parsed);
    expect(parsed.key).toEqual(key === '\xff' ? Uint8Array.of(0xff) : utf8(key));
    expect(fromUtf8(parsed.value)).toBe(value);
  });

  test.each([
    ['{', /^not valid JSON: /],
    ['[]', 'expected an object with key and value'],
    ['7', 'expected an object with key and value'],
    ['{}', 'key is missing'],
    ['{"key":"a"}', 'value is missing'],
    ['{"key":"","value":"b"}', 'the key is empty'],
    ['{"key":1,"value":"b"}', 'key is a number, not a string'],
    ['{"key":"a","value":null}', 'value is null, not a string'],
    ['{"key":"a","value":["b"]}', 'value is an array, not a string'],
    ['{"key":"a","value":{}}', 'value is an object, not a string'],
    ['{"key":"a","value":"b","keyBase64":"YQ=="}', 'both key and keyBase64'],
    ['{"key":"a","valueBase64":"Y"}', 'valueBase64 is not valid base64'],
    ['{"key":"a","valueBase64":true}', 'valueBase64 is a boolean, not a string'],
    ['{"key":"a","val":"b"}', 'unknown property "val"'],
    ['{"key":"a","value":"\\ud800"}', 'value has half a surrogate pair, which is not a character'],
  ])('%s is refused', (line, reason) => {
    const parsed = parseRecord(line);
    if (typeof reason === 'string') expect(parsed).toBe(reason);
    else expect(parsed).toMatch(reason);
  });
});

describe('a file', () => {
  const file = '\uFEFF{"key":"a","value":"1"}\r\n\n  \n{"key":"b"}\n{"key":"ü","value":"3"}';

  test.each([1, 2, 7, 1000])('in chunks of %i bytes', async (chunkBytes) => {
    expect(summary(await collect(readNdjson(chunked(utf8(file), chunkBytes))))).toEqual([
      '1: a=1',
      '4: value is missing',
      '5: ü=3',
    ]);
  });

  test('bytes that are not UTF-8 are refused, not replaced', async () => {
    const bytes = Uint8Array.of(...utf8('{"key":"'), 0xff, ...utf8('","value":""}\n'));
    expect(summary(await collect(readNdjson(chunked(bytes, 5))))).toEqual(['1: not valid UTF-8']);
  });

  test('a line without end does not fill the memory, and the next one is read', async () => {
    async function* input(): AsyncGenerator<Uint8Array> {
      const chunk = new Uint8Array(1024 * 1024).fill(0x61);
      for (let sent = 0; sent <= lineBytesMax; sent += chunk.length) yield await Promise.resolve(chunk);
      yield utf8('\n{"key":"a","value":"1"}\n');
    }
    expect(summary(await collect(readNdjson(input())))).toEqual([`1: longer than ${lineBytesMax} bytes`, '2: a=1']);
  });
});
