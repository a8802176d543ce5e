/** What a seed decides about a run of the engine. As in swarm.ts: each run has a shape of its own. */
import { Prng } from '../../base/prng.js';
import type { TreeOptions } from '../../lsm/tree-options.js';
import { operationTypes, type OperationWeights } from './engine-operation.js';

const kib = 1024;

export interface CacheSizes {
  readonly blockCacheBytesMax: number;
  readonly rowCacheBytesMax: number;
  readonly memtablesBytesMax: number;
  readonly openTablesMax: number;
}

export const engineFaults = [
  /** The machine loses power, and all or some of what was not synced. */
  'powerLoss',
  /** The process dies, the machine stays. */
  'kill',
  /** An operation of the disk fails with EIO; a failed sync has lost what it was to keep. */
  'diskError',
  /** Little or no space is left for a while. */
  'fullDisk',
  /** Operations take up to a hundred times as long. */
  'slowDisk',
  /** A closed tree is copied and damaged: only right answers or typed errors may come from the copy. */
  'damage',
] as const;
export type EngineFault = (typeof engineFaults)[number];

/** Plain data, so that a failing run can show all of it. */
export interface EnginePlan {
  readonly keys: readonly string[];
  readonly weights: OperationWeights;
  readonly faults: readonly EngineFault[];
  /** Operations between two faults, at most. */
  readonly faultGapMax: number;
}

export function drawEnginePlan(seed: number): EnginePlan {
  const random = new Prng(seed).split('plan');
  const usual: OperationWeights = {
    write: 50,
    get: 20,
    scan: 8,
    openIterator: 3,
    advance: 5,
    flush: 1.5,
    raiseSafePoint: 1.5,
    verify: 0.3,
    checkpoint: 0.7,
    ingest: 0.7,
    pause: 4,
    reopen: 0.5,
  };
  const weights = { ...usual };
  for (const type of operationTypes) weights[type] = usual[type] * random.pick([0, 0.5, 1, 1, 3]);
  return {
    keys: Array.from({ length: random.int(3, 60) }, () => drawKey(random)),
    // Without writes there is nothing to see.
    weights: { ...weights, write: Math.max(25, weights.write), get: Math.max(5, weights.get) },
    faults: random.shuffle([...engineFaults]).slice(0, random.int(1, engineFaults.length)),
    faultGapMax: random.pick([5, 20, 80]),
  };
}

function drawKey(random: Prng): string {
  const prefix = random.pick(['', 'a', 'ab', 'user/', 'user/00000', '\u00ff\u00ff']);
  return prefix + Buffer.from(random.bytes(random.int(0, 3))).toString('latin1');
}

export function drawTreeOptions(random: Prng): TreeOptions {
  const level0TablesCompact = random.int(1, 4);
  return {
    memtableBytesMax: random.int(200, 6000),
    sealedMemtablesMax: random.int(1, 3),
    largeValueBytesMin: random.pick([1, 10, 100, 4 * kib, Number.MAX_SAFE_INTEGER]),
    valueSpaceAmplificationMax: random.pick([1.05, 1.3, 2]),
    collectedBytesMax: random.int(100, 5000),
    blockBytes: random.int(32, 600),
    bloomBitsPerKey: random.int(1, 14),
    compressionLevelMin: random.int(0, 3),
    sstableBytesTarget: random.int(200, 4000),
    level0TablesCompact,
    level0TablesStall: random.int(level0TablesCompact, 6),
    levelBytesBase: random.int(500, 6000),
    levelBytesMultiplier: random.int(2, 4),
    manifestBytesMax: random.int(1, 3000),
    noSpaceRetryMsMin: 10,
    noSpaceRetryMsMax: 100,
  };
}

export function drawCacheSizes(random: Prng): CacheSizes {
  return {
    blockCacheBytesMax: random.pick([0, 1000, 6000, 1 << 20]),
    rowCacheBytesMax: random.pick([0, 2000, 1 << 16]),
    memtablesBytesMax: random.pick([16, 64]) << 20,
    openTablesMax: random.pick([1, 2, 5, 100]),
  };
}
