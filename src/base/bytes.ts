/** Byte strings: comparison in the order of the key space, and small helpers. Nothing here keeps its arguments. */

export const emptyBytes: Uint8Array = new Uint8Array(0);

/** Lexicographic order of unsigned bytes, a prefix before what it prefixes: < 0, 0 or > 0. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = a.length < b.length ? a.length : b.length;
  for (let i = 0; i < shared; i++) {
    const difference = a[i] - b[i];
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** A copy that shares no memory with `bytes`. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** As `subarray`, in two thirds of its time; always a plain `Uint8Array`. */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** The smallest key after `key`: `key` and a zero byte. */
export function keySuccessor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** The smallest key that is after every key with this prefix; undefined when there is none (all bytes 0xff). */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const end = prefix.slice(0, length);
  end[length - 1] += 1;
  return end;
}

const textEncoder = new TextEncoder();
/** Keeps a byte order mark: it is part of the text, and what was encoded comes back. */
const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return textEncoder.encode(text);
}

/** Text of `bytes`; invalid sequences become U+FFFD. */
export function fromUtf8(bytes: Uint8Array): string {
  return textDecoder.decode(bytes);
}

export function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex;
}

/**
 * Bytes as the key of a `Map`: one UTF-16 unit a byte ("binary string"), so that two byte strings are equal exactly
 * when these are, and in the same order.
 */
export function mapKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** For messages to people: the text where it is printable, otherwise hex; cut after 64 bytes. */
export function printable(bytes: Uint8Array): string {
  const shown = bytes.subarray(0, 64);
  const more = bytes.length > shown.length ? `… (${bytes.length} bytes)` : '';
  for (const byte of shown) if (byte < 0x20 || byte > 0x7e) return `0x${toHex(shown)}${more}`;
  return JSON.stringify(fromUtf8(shown)) + more;
}
