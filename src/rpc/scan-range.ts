import { compareBytes, prefixEnd } from '../base/bytes.js';

export interface ScanRange {
  readonly start: Uint8Array;
  /** Exclusive; empty is the end of the key space. */
  readonly end: Uint8Array;
}

/** The keys from `start` to `end` that begin with `prefix`; undefined when there can be none. */
export function scanRange(start: Uint8Array, end: Uint8Array, prefix: Uint8Array): ScanRange | undefined {
  const endOfPrefix = prefixEnd(prefix);
  const first = compareBytes(start, prefix) < 0 ? prefix : start;
  const last = earlierEnd(end, endOfPrefix);
  if (last.length > 0 && compareBytes(first, last) >= 0) return undefined;
  return { start: first, end: last };
}

function earlierEnd(end: Uint8Array, endOfPrefix: Uint8Array | undefined): Uint8Array {
  if (endOfPrefix === undefined) return end;
  return end.length === 0 || compareBytes(endOfPrefix, end) < 0 ? endOfPrefix : end;
}
