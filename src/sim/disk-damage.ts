/**
 * Damage to the disk of one machine: what is there is not what was written, or cannot be read. Its node has to find that
 * out, serve nothing of it, and stop; the others go on, and it comes back with an empty disk (disk-operator.ts).
 */
import { CorruptionError, QuorateError } from '../base/errors.js';
import type { Prng } from '../base/prng.js';
import { DiskError } from '../env/disk.js';
import { batchHeaderBytes, newestBatchHeader, segmentHeaderBytes, segmentOfName } from '../log/segment-format.js';
import type { SimFailure } from './machine.js';
import type { SimDisk } from './disk.js';
import { sectorBytes } from './file-state.js';

export const damageTypes = [
  'bitFlip',
  'zeroedSector',
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

const triesMax = 20;

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

function lastBatchWithoutProof(disk: SimDisk): (Place & { readonly end: number }) | undefined {
  let newest: { readonly path: string; readonly segment: number } | undefined;
  for (const path of disk.paths()) {
    const segment = segmentOfName(path.slice(path.lastIndexOf('/') + 1)) ?? 0;
    if (segment > (newest?.segment ?? 0)) newest = { path, segment };
  }
  if (newest === undefined) return undefined;
  const { path, segment } = newest;
  const header = newestBatchHeader(disk.content(path), segmentHeaderBytes, segment);
  if (header === undefined || header.bodyBytes === 0) return undefined;
  const { offset, bodyBytes } = header;
  return { path, offset, end: offset + batchHeaderBytes + bodyBytes };
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
