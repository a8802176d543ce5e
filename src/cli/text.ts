/** Keys and values between bytes and what people and machines read. */
import { utf8 } from '../base/bytes.js';

/** `ignoreBOM` keeps a leading U+FEFF, which is a part of the value like any other. */
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of `bytes`, undefined where they are not valid UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * `bytes` for a terminal, on one line: text as it is, with `\n`, `\t`, `\\` and `\u{…}` for what would disturb a line or
 * a terminal; `\xNN` for every byte beyond ASCII where the whole is not valid UTF-8. No two byte strings look the same.
 */
export function escapeBytes(bytes: Uint8Array): string {
  const text = textOf(bytes);
  if (text !== undefined) return escapeText(text);
  let shown = '';
  for (const byte of bytes) shown += shownBytes[byte];
  return shown;
}

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

function escapeText(text: string): string {
  return text.replace(
    /[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => shortEscapes[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Each byte of what is not valid UTF-8: values may have many of them. */
const shownBytes = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80 ? escapeText(String.fromCharCode(byte)) : `\\x${byte.toString(16)}`,
);

/** `text` with at most `width` characters, the last one `…` where something was cut. */
export function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/**
 * One side of a record in JSON: under `name` as text, or under `nameBase64` where it is not valid UTF-8.
 * `export` writes these and `import` reads them.
 */
export function jsonField(name: string, bytes: Uint8Array): Record<string, string> {
  const text = textOf(bytes);
  return text === undefined ? { [`${name}Base64`]: toBase64(bytes) } : { [name]: text };
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** Undefined unless `text` is base64 in its canonical form, padded. */
export function fromBase64(text: string): Uint8Array | undefined {
  const decoded = Buffer.from(text, 'base64');
  return decoded.toString('base64') === text ? new Uint8Array(decoded) : undefined;
}

/** UTF-8 of `text`; undefined where it has a lone surrogate, which no UTF-8 can hold. */
export function bytesOf(text: string): Uint8Array | undefined {
  return /\p{Surrogate}/u.test(text) ? undefined : utf8(text);
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1.4 MiB` */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let scaled = bytes;
  while (scaled >= 1024 && unit < byteUnits.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${byteUnits[unit]}`;
}
