/**
 * What callers hand in, checked by value: plain JavaScript knows no types, and a condition that is misunderstood would be
 * a write that should not have been. Each function returns the checked value or throws QuorateError (INVALID_ARGUMENT)
 * with a message that names `field`.
 */
import { isUint8Array } from 'node:util/types';
import { utf8 } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';

/** A day. Node.js and gRPC have no timers beyond 24 days; no wait of a client is sensibly longer. */
const millisecondsMax = 86_400_000;
const shownCharsMax = 40;

export function invalid(message: string): QuorateError {
  return new QuorateError('INVALID_ARGUMENT', message);
}

/** Bytes as they are (not copied), text as UTF-8. */
export function bytesOf(field: string, value: unknown): Uint8Array {
  if (isUint8Array(value)) return value;
  if (typeof value !== 'string') throw wrong(field, 'bytes (Uint8Array) or text', value);
  if (/\p{Surrogate}/u.test(value)) throw invalid(`${field} has half a surrogate pair, which no UTF-8 can hold`);
  return utf8(value);
}

/** Undefined is false. */
export function flagOf(field: string, value: unknown): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw wrong(field, 'true or false', value);
  return value;
}

/** A whole number from `min` to 2^53 - 1. */
export function wholeNumberOf(field: string, value: unknown, min: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
    throw wrong(field, `a whole number from ${min} to 2^53 - 1`, value);
  }
  return value;
}

/** More than a day is a day. */
export function millisecondsOf(field: string, value: unknown, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value !== 'number' || !(value > 0)) throw wrong(field, 'milliseconds, above 0', value);
  return Math.min(value, millisecondsMax);
}

export function choiceOf<const Choice extends string>(
  field: string,
  value: unknown,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((candidate) => candidate === value);
  if (choice === undefined) throw wrong(field, choices.map((name) => `"${name}"`).join(' or '), value);
  return choice;
}

/** Throws unless `value` is an object whose properties can be read. */
export function checkObject(field: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(field, 'an object', value);
}

export function checkList(field: string, value: unknown): void {
  if (!Array.isArray(value)) throw wrong(field, 'an array', value);
}

/** Undefined is no signal. */
export function checkSignal(field: string, value: unknown): void {
  if (value === undefined) return;
  const isSignal = typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;
  if (!isSignal) throw wrong(field, 'an AbortSignal', value);
}

export function wrong(field: string, expected: string, value: unknown): QuorateError {
  return invalid(`${field} must be ${expected}, got ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value).slice(0, shownCharsMax);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
