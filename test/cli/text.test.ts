import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { utf8 } from '../../src/base/bytes.js';
import { bytesOf, cut, escapeBytes, formatBytes, fromBase64, jsonField, textOf, toBase64 } from '../../src/cli/text.js';

describe('bytes for people', () => {
  test.each([
    [utf8('plain ünïcode 漢'), 'plain ünïcode 漢'],
    [utf8('a\nb\tc\\d'), 'a\\nb\\tc\\\\d'],
    [utf8('\u001b[31m'), '\\u{1b}[31m'],
    [utf8('\u202eabc'), '\\u{202e}abc'],
    [utf8('\uFEFFx'), '\\u{feff}x'],
    [Uint8Array.of(0x61, 0xff, 0x0a), 'a\\xff\\n'],
    [new Uint8Array(0), ''],
  ])('%j', (bytes, shown) => {
    expect(escapeBytes(bytes)).toBe(shown);
  });

  test('different bytes look different', () => {
    const small = fc.uint8Array({ maxLength: 4 });
    fc.assert(
      fc.property(small, small, (a, b) => {
        fc.pre(toBase64(a) !== toBase64(b));
        expect(escapeBytes(a)).not.toBe(escapeBytes(b));
      }),
    );
  });

  test('are cut by characters', () => {
    expect(cut('abcdef', 6)).toBe('abcdef');
    expect(cut('abcdefg', 6)).toBe('abcde…');
    expect(cut('😀😀😀', 3)).toBe('😀😀😀');
    expect(cut('😀😀😀😀', 3)).toBe('😀😀…');
  });

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1_500_000, '1.4 MiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
    [5000 * 1024 ** 4, '5000.0 TiB'],
  ])('%i bytes', (bytes, shown) => {
    expect(formatBytes(bytes)).toBe(shown);
  });
});

describe('bytes for machines', () => {
  test('text where it is UTF-8, base64 where it is not', () => {
    expect(jsonField('key', utf8('a"b'))).toEqual({ key: 'a"b' });
    expect(jsonField('value', Uint8Array.of(0xff))).toEqual({ valueBase64: '/w==' });
  });

  test('every byte string survives the way there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const { key, keyBase64 } = JSON.parse(JSON.stringify(jsonField('key', bytes))) as Record<string, string>;
        expect(key === undefined ? fromBase64(keyBase64) : bytesOf(key)).toEqual(bytes);
      }),
    );
  });

  test('a leading byte order mark is a part of the text', () => {
    expect(textOf(utf8('\uFEFFx'))).toBe('\uFEFFx');
  });

  test('what is not canonical base64 is refused', () => {
    expect(fromBase64('YQ')).toBeUndefined();
    expect(fromBase64('Y!Q=')).toBeUndefined();
    expect(fromBase64('')).toEqual(new Uint8Array(0));
  });

  test('half a surrogate pair has no bytes', () => {
    expect(bytesOf('\ud83d')).toBeUndefined();
    expect(bytesOf('\ud83d\ude00')).toEqual(utf8('😀'));
  });
});
