/**
 * Damage to the disk of one machine: what is there is not what was written, or cannot be read. Its node has to find that
 * out, serve nothing of it, and stop; the others go on, and it comes back with an empty disk (disk-operator.ts).
 */
import { CorruptionError, QuorateError } from '../base/errors.js';
import type { Prng } from '../base/prng.js';
import { DiskError } from '../env/disk.js';
import { recoveryPointName, slotsOf } from '../log/recovery-point.js';
import {
  batchHeaderAt,
  batchHeaderBytes,
  newestBatchHeader,
  segmentHeaderBytes,
  segmentOfName,
} from '../log/segment-format.js';
import type { SimFailure } from './machine.js';
import type { SimDisk } from './disk.js';
import { sectorBytes } from './file-state.js';

export const damageTypes = [
  'bitFlip',
  'zeroedSector',
  /** Some blocks in a row are zeros, as where a page of flash or a stripe is lost. */
  'zeroedBlocks',
  /** A sector has the content of another one, of the same file or of another. */
  'misdirectedWrite',
  /** Reads of it fail with EIO, until it is written. */
  'unreadableSector',
] as const;
export type DamageType = (typeof damageTypes)[number];

/** A place that something was written to. */
interface Place {
  readonly path: string;
  readonly offset: number;
}

interface Range extends Place {
  readonly end: number;
}

const triesMax = 20;
const blockBytes = 4096;
const blocksMax = 16;

/** Damages one place of the disk; returns which. Undefined when there is nothing to damage. */
export function damage(disk: SimDisk, type: DamageType, random: Prng): Place | undefined {
  const place = drawPlace(disk, random);
  if (place === undefined) return undefined;
  const { path, offset } = place;
  const sector = sectorAt(disk, place);
  switch (type) {
    case 'bitFlip':
      disk.corrupt(path, offset + random.int(0, sector.length - 1), 1 << random.int(0, 7));
      return place;
    case 'zeroedSector':
      disk.overwrite(path, offset, new Uint8Array(sector.length));
      return place;
    case 'zeroedBlocks':
      return zeroBlocks(disk, place, random);
    case 'misdirectedWrite': {
      const other = drawPlace(disk, random);
      if (other === undefined) return undefined;
      const bytes = sectorAt(disk, other).subarray(0, sector.length);
      if (bytes.every((byte, i) => byte === sector[i])) return undefined;
      disk.overwrite(path, offset, bytes);
      return place;
    }
    case 'unreadableSector':
      disk.loseSector(path, offset);
      return place;
  }
}

/** From the block of the place on. Undefined where nobody could tell. */
function zeroBlocks(disk: SimDisk, { path, offset }: Place, random: Prng): Place | undefined {
  const { length } = disk.content(path);
  const start = offset - (offset % blockBytes);
  const end = Math.min(start + blockBytes * random.int(2, blocksMax), length);
  const unproven = batchesAfterRecoveryPoint(disk);
  if (path === unproven?.path && start < unproven.end && end > unproven.offset) return undefined;
  disk.overwrite(path, start, new Uint8Array(end - start));
  return { path, offset: start };
}

/**
 * A sector that is not all zeros: room that was made ahead is no loss. And not of the log's last batch, while nothing proves that it
 * was durable: damaged then, and read before the proof is written, it is a torn batch to everybody (docs/formats/log.md).
 */
function drawPlace(disk: SimDisk, random: Prng): Place | undefined {
  const paths = disk.paths();
  const unproven = lastBatchWithoutProof(disk);
  for (let tries = 0; tries < triesMax && paths.length > 0; tries++) {
    const path = random.pick(paths);
    const content = disk.content(path);
    if (content.length === 0) continue;
    const offset = sectorBytes * random.int(0, Math.ceil(content.length / sectorBytes) - 1);
    if (path === unproven?.path && offset < unproven.end && offset + sectorBytes > unproven.offset) continue;
    if (content.subarray(offset, offset + sectorBytes).some((byte) => byte !== 0)) return { path, offset };
  }
  return undefined;
}

function lastBatchWithoutProof(disk: SimDisk): Range | undefined {
  const newest = newestSegment(disk);
  if (newest === undefined) return undefined;
  const { path, segment } = newest;
  const header = newestBatchHeader(disk.content(path), segmentHeaderBytes, segment);
  if (header === undefined || header.bodyBytes === 0) return undefined;
  const { offset, bodyBytes } = header;
  return { path, offset, end: offset + batchHeaderBytes + bodyBytes };
}

/**
 * What perhaps only the segment itself shows to have been durable: the batches from the older slot of the recovery point on (the newer
 * one may not be durable yet), to where they end, with the header where that is all of them.
 */
function batchesAfterRecoveryPoint(disk: SimDisk): Range | undefined {
  const newest = newestSegment(disk);
  if (newest === undefined) return undefined;
  const { path, segment } = newest;
  const bytes = disk.content(path);
  const point = `${path.slice(0, path.lastIndexOf('/'))}/${recoveryPointName}`;
  const durableBefore = disk.paths().includes(point) ? Math.min(...slotsOf(disk.content(point))) : 0;
  let from: number | undefined;
  let end = segmentHeaderBytes;
  for (;;) {
    const header = batchHeaderAt(bytes, end, segment);
    if (header === undefined || header.bodyBytes === 0) break;
    if (header.sequence >= durableBefore) from ??= end;
    end += batchHeaderBytes + header.bodyBytes;
  }
  if (from === undefined) return undefined;
  return { path, offset: from === segmentHeaderBytes ? 0 : from, end };
}

/** Of the log that is in use: not of what a repair has put aside. */
function newestSegment(disk: SimDisk): { readonly path: string; readonly segment: number } | undefined {
  let newest: { readonly path: string; readonly segment: number } | undefined;
  for (const path of disk.paths()) {
    const [folder, name] = path.split('/').slice(-2);
    const segment = folder === 'log' ? (segmentOfName(name) ?? 0) : 0;
    if (segment > (newest?.segment ?? 0)) newest = { path, segment };
  }
  return newest;
}

function sectorAt(disk: SimDisk, { path, offset }: Place): Uint8Array {
  return disk.content(path).subarray(offset, offset + sectorBytes);
}

/** Whether a node may stop so: its disk is damaged or was lost, and the error says so. */
export function isExplainedByDamage({ onSuspectDisk, error }: SimFailure): boolean {
  return onSuspectDisk && isOfDamage(error);
}

function isOfDamage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof CorruptionError || (error instanceof DiskError && error.code === 'io')) return true;
  if (error instanceof QuorateError && error.code === 'CORRUPTION') return true;
  return /lost its disk/.test(error.message) || isOfDamage(error.cause);
}
