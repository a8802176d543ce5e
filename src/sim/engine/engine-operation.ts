/**
 * What a run does to a tree: plain data, in which keys, versions and bounds are relative to what is there when the
 * operation comes. So the same list means something for every tree, and any part of a list does, too.
 */
import type { Prng } from '../../base/prng.js';
import type { ModelEntry } from './engine-model.js';

const kib = 1024;

export interface DrawnEntry {
  /** Which key: modulo their number. */
  readonly key: number;
  /** Above the newest version, or so far below it; 0: the newest again. */
  readonly versionStep: number;
  readonly kind: ModelEntry['kind'];
  readonly valueBytes: number;
  /** The other end of a range to delete, in any order. */
  readonly to: number;
}

export interface DrawnBounds {
  /** Keys as in {@link DrawnEntry}; undefined: no bound. In any order. */
  readonly from: number | undefined;
  readonly to: number | undefined;
}

export interface DrawnScan extends DrawnBounds {
  readonly age: number;
  readonly reverse: boolean;
}

/** Files from elsewhere: a table, or a tree. */
export interface DrawnIngestion extends DrawnBounds {
  readonly entries: readonly DrawnEntry[];
  /** Of a tree: in so many parts it is written, at most; its bounds are those of a checkpoint. */
  readonly flushes: number;
  /** Versions may be at or below the safe point. */
  readonly isOld: boolean;
}

/** `age` is how far below the newest version a read is made, not below the safe point. */
export type EngineOperation =
  | { readonly type: 'write'; readonly entries: readonly DrawnEntry[] }
  | { readonly type: 'get'; readonly keys: readonly number[]; readonly age: number }
  | ({ readonly type: 'scan' } & DrawnScan)
  /** Stays open, over whatever comes. */
  | ({ readonly type: 'openIterator' } & DrawnScan)
  /** Takes so many records from each open iterator. */
  | { readonly type: 'advance'; readonly records: number }
  | { readonly type: 'flush' }
  /** To this part of the way from the old one to the newest version. */
  | { readonly type: 'raiseSafePoint'; readonly part: number }
  | { readonly type: 'verify' }
  /** Makes a checkpoint, opens it, writes to it, and removes it. */
  | ({ readonly type: 'checkpoint'; readonly entries: readonly DrawnEntry[] } & DrawnBounds)
  | ({ readonly type: 'ingest' } & DrawnIngestion)
  /** Lets the work behind the tree go on. */
  | { readonly type: 'pause'; readonly ms: number }
  | { readonly type: 'reopen' };

export const operationTypes = [
  'write',
  'get',
  'scan',
  'openIterator',
  'advance',
  'flush',
  'raiseSafePoint',
  'verify',
  'checkpoint',
  'ingest',
  'pause',
  'reopen',
] as const satisfies readonly EngineOperation['type'][];

/** How often each is drawn, relative to the others. */
export type OperationWeights = Readonly<Record<EngineOperation['type'], number>>;

/** More than there are keys: the others are keys that nobody writes. */
const keyMax = 80;

export function drawOperation(random: Prng, weights: OperationWeights): EngineOperation {
  const type = drawType(random, weights);
  switch (type) {
    case 'write':
      return { type, entries: drawEntries(random, random.int(0, 6)) };
    case 'get':
      return { type, keys: drawKeys(random), age: drawAge(random) };
    case 'scan':
    case 'openIterator':
      return { type, ...drawBounds(random), age: drawAge(random), reverse: random.chance(0.5) };
    case 'advance':
      return { type, records: random.int(1, 10) };
    case 'raiseSafePoint':
      return { type, part: random.float() };
    case 'checkpoint':
      return { type, ...drawBounds(random), entries: drawEntries(random, random.int(0, 20)) };
    case 'ingest':
      return {
        type,
        ...drawBounds(random),
        entries: drawEntries(random, random.int(1, 30)),
        flushes: random.int(1, 4),
        isOld: random.chance(0.3),
      };
    case 'pause':
      return { type, ms: random.pick([1, 10, 100]) };
    case 'flush':
    case 'verify':
    case 'reopen':
      return { type };
  }
}

function drawType(random: Prng, weights: OperationWeights): EngineOperation['type'] {
  let left = random.float() * operationTypes.reduce((sum, type) => sum + weights[type], 0);
  for (const type of operationTypes) {
    left -= weights[type];
    if (left < 0) return type;
  }
  return 'write';
}

function drawKeys(random: Prng): number[] {
  return Array.from({ length: random.chance(0.7) ? 1 : random.int(2, 12) }, () => random.int(0, keyMax));
}

function drawAge(random: Prng): number {
  return random.chance(0.5) ? 0 : random.int(1, 200);
}

function drawBounds(random: Prng): DrawnBounds {
  const key = (): number | undefined => (random.chance(0.3) ? undefined : random.int(0, keyMax));
  return { from: key(), to: key() };
}

function drawEntries(random: Prng, count: number): DrawnEntry[] {
  return Array.from({ length: count }, () => ({
    key: random.int(0, keyMax),
    versionStep: random.chance(0.8) ? random.int(1, 3) : random.chance(0.5) ? 0 : -random.int(1, 60),
    kind: random.chance(0.04) ? 'deleteRange' : random.chance(0.25) ? 'delete' : 'put',
    to: random.int(0, keyMax),
    valueBytes: drawValueBytes(random),
  }));
}

/** Mostly few, so that runs are fast; now and then beyond the usual sizes of blocks, of values apart, and of lent memory. */
function drawValueBytes(random: Prng): number {
  if (random.chance(0.95)) return random.int(0, 40);
  return random.chance(0.9) ? random.int(0, 2000) : random.int(2 * kib, 100 * kib);
}
