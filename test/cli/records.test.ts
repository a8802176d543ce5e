import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { utf8 } from '../../src/base/bytes.js';
import { Timestamp } from '../../src/base/ids.js';
import { exportLine } from '../../src/cli/commands/export.js';
import { recordToJson, scanTable } from '../../src/cli/commands/scan.js';
import { parseRecord } from '../../src/cli/import/ndjson.js';

const version = Timestamp(7);

describe('an exported line', () => {
  test('is what JSON.stringify gives for the record', () => {
    const record = { key: 'ключ "1"', value: 'line\nbreak\u2028 \u0000 é 😀' };
    expect(exportLine({ key: utf8(record.key), value: utf8(record.value) })).toBe(`${JSON.stringify(record)}\n`);
  });

  test('imports as the record that it was, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), fc.uint8Array(), (key, value) => {
        expect(parseRecord(exportLine({ key, value }).trimEnd())).toEqual({ key, value });
      }),
    );
  });
});

describe('a scan', () => {
  const long = { key: utf8('k'.repeat(60)), value: utf8('v'.repeat(100)), version };
  const binary = { key: Uint8Array.of(0xff), value: utf8('a\nb'), version };

  test('as a table cuts what is long and escapes what is not text', () => {
    expect(scanTable([binary, long], false)).toBe(
      [
        `key${' '.repeat(47)}value${' '.repeat(57)}version`,
        `\\xff${' '.repeat(46)}a\\nb${' '.repeat(58)}7`,
        `${'k'.repeat(47)}…  ${'v'.repeat(59)}…  7`,
      ].join('\n'),
    );
    expect(scanTable([binary], true)).toBe('key   version\n\\xff  7');
  });

  test('as JSON keeps every byte', () => {
    expect(recordToJson(binary, false)).toEqual({ keyBase64: '/w==', value: 'a\nb', version: 7 });
    expect(recordToJson(binary, true)).toEqual({ keyBase64: '/w==', version: 7 });
  });
});
