/**
 * What the caller of a tree hands in, checked where it comes in: without TypeScript, or with a cast, all of it may be
 * anything, and what is wrong would be found by a flush, or by nobody. An AssertionError names the argument. The checks
 * are on hot paths: no message is made before it is needed.
 */
import { assert } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { timestampMax, type LogIndex, type Timestamp } from '../base/ids.js';
import type { KeyBounds } from './iterator/entry-iterator.js';
import type { IteratorOptions } from './iterator/tree-iterator.js';

const boundNames: readonly (keyof KeyBounds)[] = ['lower', 'upper'];
const iteratorOptionNames: readonly (keyof IteratorOptions)[] = [...boundNames, 'at', 'reverse', 'keysOnly'];

export function checkBytes(value: Uint8Array, name: string): void {
  if (!(value instanceof Uint8Array)) assert(false, `${name} must be a Uint8Array, got ${typeof value}`);
}

/** A whole number from 0 on: a version or an index. */
export function checkWhole(value: number, name: string): void {
  const isWhole = Number.isSafeInteger(value) && value >= 0;
  if (!isWhole) assert(false, `${name} must be a whole number from 0 to 2^53 - 1, got ${String(value)}`);
}

/** Options or bounds, by their names: an array, or null, would be those that are all missing. */
export function checkNamed(value: unknown, name: string): asserts value is object {
  const isNamed = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isNamed) assert(false, `${name} must be an object, got ${value === null ? 'null' : typeof value}`);
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') assert(false, `${name} must be a function, got ${typeof value}`);
}

interface Write {
  /** Of the batch. */
  readonly smallestVersion: number;
  readonly appliedIndex: LogIndex;
  readonly safePoint: Timestamp;
}

export function checkWrite({ smallestVersion, appliedIndex, safePoint }: Write): void {
  checkWhole(appliedIndex, 'the applied index');
  // As long as no safe point is set there may be a version 0.
  if (safePoint > 0 && smallestVersion <= safePoint) {
    assert(false, `version ${smallestVersion} is not above the safe point ${safePoint}`);
  }
}

interface Ingestion {
  readonly paths: readonly string[];
  readonly appliedIndex: LogIndex;
  /** The last one of the tree. */
  readonly appliedBefore: LogIndex;
}

export function checkIngestion({ paths, appliedIndex, appliedBefore }: Ingestion): void {
  // A string by itself would be taken for a path of each of its characters.
  assert(Array.isArray(paths), `the paths must be an array, got ${typeof paths}`);
  for (const path of paths) checkPath(path, 'a path');
  checkWhole(appliedIndex, 'the applied index');
  assert(appliedIndex > appliedBefore, `applied index ${appliedIndex} after ${appliedBefore}`);
}

export function checkPath(value: unknown, name: string): void {
  const isPath = typeof value === 'string' && value !== '';
  assert(isPath, `${name} must be a string with something in it, got ${typeof value}`);
}

export function checkRead(key: Uint8Array, at: Timestamp): void {
  checkBytes(key, 'the key');
  checkWhole(at, 'at');
}

export function checkReads(keys: readonly Uint8Array[], at: Timestamp): void {
  const isArray: boolean = Array.isArray(keys);
  if (!isArray) assert(false, `the keys must be an array, got ${typeof keys}`);
  for (const key of keys) checkBytes(key, 'a key');
  checkWhole(at, 'at');
}

/** `bounds` as they are meant: without a lower one, from the first key on. */
export function checkedBounds(bounds: Partial<KeyBounds>): KeyBounds {
  checkNames(bounds, boundNames);
  return boundsOf(bounds);
}

function boundsOf({ lower = emptyBytes, upper }: Partial<KeyBounds>): KeyBounds {
  checkBytes(lower, 'lower');
  if (upper !== undefined) checkBytes(upper, 'upper');
  return { lower, upper };
}

/** The newest versions of all keys, ascending, with their values, where `options` do not say otherwise. */
export function checkedIteratorOptions(options: Partial<IteratorOptions>): IteratorOptions {
  checkNames(options, iteratorOptionNames);
  const { at = timestampMax, reverse = false, keysOnly = false } = options;
  checkWhole(at, 'at');
  assert(typeof reverse === 'boolean', 'reverse must be true or false');
  assert(typeof keysOnly === 'boolean', 'keysOnly must be true or false');
  return { ...boundsOf(options), at, reverse, keysOnly };
}

/** A misspelt option would be one that is not given. */
function checkNames(options: object, names: readonly string[]): void {
  checkNamed(options, 'the options');
  for (const name of Object.keys(options)) if (!names.includes(name)) assert(false, `there is no option ${name}`);
}
