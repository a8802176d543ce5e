/**
 * Opening a log: reads all segments, tells a torn tail from damage (docs/formats/log.md says how), and makes durable
 * what may so far be only in the page cache.
 */
import { DecodeError } from '../base/coding.js';
import { CorruptionError } from '../base/errors.js';
import type { ShardId } from '../base/ids.js';
import type { Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import type { CacheMeter } from './entry-cache.js';
import type { GroupState } from './group-state.js';
import { readRecoveryPoint } from './recovery-point.js';
import { Replay } from './replay.js';
import { SegmentFile } from './segment-file.js';
import {
  decodeSegmentHeader,
  hasRemains,
  isSpareName,
  newestBatchHeader,
  segmentHeaderBytes,
  segmentName,
  segmentOfName,
  type SegmentHeader,
} from './segment-format.js';
import { readBatch, type PlacedRecord } from './segment-reader.js';
import { SegmentSet } from './segment-set.js';

export interface RecoveryOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly meter: CacheMeter;
  readonly logger: Logger;
}

/** What was found. Nothing is written into the segments that were there: `next` must be made first. */
export interface Recovered {
  readonly segments: SegmentSet;
  readonly groups: Map<ShardId, GroupState>;
  readonly next: SegmentHeader;
}

/** A segment that is being replayed. */
interface OpenSegment {
  readonly file: SegmentFile;
  readonly header: SegmentHeader;
}

/** Where the batches of a segment end. */
interface SegmentEnd {
  readonly nextBatch: number;
  /** Offset of the last batch; undefined when there is none. */
  readonly lastBatchOffset: number | undefined;
  readonly offset: number;
}

/** Throws {@link CorruptionError} on damage, and what the disk throws. */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { disk, directory } = options;
  const names = await disk.list(directory);
  const numbers = names.map(segmentOfName).filter((segment) => segment !== undefined);
  numbers.sort((a, b) => a - b);
  const newest = numbers.at(-1) ?? 0;
  const consecutive = numbers.filter((segment, i) => newest - segment === numbers.length - 1 - i);
  const opened: SegmentFile[] = [];
  try {
    const segments: OpenSegment[] = [];
    for (const segment of consecutive) {
      const file = await openSegment(disk, directory, segment);
      opened.push(file);
      const header = await readHeader(file, segment === newest);
      if (header !== undefined) segments.push({ file, header });
    }
    const durableBefore = await readRecoveryPoint(disk, directory);
    const recovered = await replaySegments(segments, { newest, durableBefore }, options);
    for (const file of opened) if (!recovered.segments.all.includes(file)) await removeSegment(disk, file);
    const apart = numbers.slice(0, numbers.length - consecutive.length);
    for (const segment of apart) await disk.remove(`${directory}/${segmentName(segment)}`);
    for (const name of names.filter(isSpareName)) await disk.remove(`${directory}/${name}`);
    return recovered;
  } catch (error) {
    for (const file of opened) await file.close().catch(() => undefined);
    throw error;
  }
}

async function openSegment(disk: Disk, directory: string, segment: number): Promise<SegmentFile> {
  const file = await disk.open(`${directory}/${segmentName(segment)}`, 'readWrite');
  const bytes = await file.size();
  return new SegmentFile(segment, file, { end: bytes, allocatedBytes: bytes });
}

async function removeSegment(disk: Disk, file: SegmentFile): Promise<void> {
  await file.close();
  await disk.remove(file.path);
}

/** Undefined when the file is the newest and was still being made. */
async function readHeader(file: SegmentFile, isNewest: boolean): Promise<SegmentHeader | undefined> {
  try {
    const header = decodeSegmentHeader(await file.read(0, segmentHeaderBytes));
    if (header.segment !== file.segment) throw new DecodeError(`it is the header of segment ${header.segment}`);
    return header;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const wasUsed = newestBatchHeader(await file.readAll(), 0, file.segment) !== undefined;
    if (isNewest && !wasUsed) return undefined;
    throw new CorruptionError(file.path, 0, error.message, error);
  }
}

/**
 * @param newest number of the newest file, even if it was still being made; 0 when there is none
 * @param durableBefore the recovery point
 */
async function replaySegments(
  found: readonly OpenSegment[],
  { newest, durableBefore }: { newest: number; durableBefore: number },
  options: RecoveryOptions,
): Promise<Recovered> {
  const newestPath = `${options.directory}/${segmentName(newest)}`;
  if (found.length === 0) {
    // Only the very first segment is made while there is no other.
    if (newest > 1) throw new CorruptionError(newestPath, 0, 'no header, and the segments before it are missing');
    if (durableBefore > 1) {
      const first = `${options.directory}/${segmentName(1)}`;
      throw new CorruptionError(first, 0, `the log is empty, though batch ${durableBefore - 1} was durable`);
    }
    return { segments: new SegmentSet(), groups: new Map(), next: { segment: 1, firstBatch: 1 } };
  }
  const last = found[found.length - 1];
  const segments = new SegmentSet();
  const replay = new Replay(segments, options.meter);
  for (const { file } of found) segments.add(file);
  for (let i = 0; i + 1 < found.length; i++) await replayWhole(replay, found[i], found[i + 1].header.firstBatch);
  const end = await replayLast(replay, last, { durableBefore, logger: options.logger });
  checkNothingMissing(replay, options.directory);
  const isUnused = end.lastBatchOffset === undefined;
  if (isUnused) segments.takeNewest();
  return {
    segments,
    groups: replay.groups,
    next: { segment: isUnused ? last.header.segment : last.header.segment + 1, firstBatch: end.nextBatch },
  };
}

/** A segment with a successor: all its batches were durable before the successor was made. */
async function replayWhole(replay: Replay, { file, header }: OpenSegment, endBatch: number): Promise<void> {
  const bytes = await file.readAll();
  let offset = segmentHeaderBytes;
  for (let sequence = header.firstBatch; sequence < endBatch; sequence++) {
    const found = readBatch(bytes, { segment: file.segment, offset, sequence });
    if (found.type === 'invalid') throw new CorruptionError(file.path, found.offset, found.reason);
    applyRecords(replay, file, found.records);
    offset = found.end;
  }
}

/** The newest segment: its last batch may be torn, and what it holds may not be durable. */
async function replayLast(
  replay: Replay,
  { file, header }: OpenSegment,
  { durableBefore, logger }: { durableBefore: number; logger: Logger },
): Promise<SegmentEnd> {
  const bytes = await file.readAll();
  let end: SegmentEnd = { nextBatch: header.firstBatch, lastBatchOffset: undefined, offset: segmentHeaderBytes };
  for (;;) {
    const { offset, nextBatch, lastBatchOffset } = end;
    const found = readBatch(bytes, { segment: file.segment, offset, sequence: nextBatch });
    if (found.type === 'batch') {
      applyRecords(replay, file, found.records);
      end = { nextBatch: nextBatch + 1, lastBatchOffset: offset, offset: found.end };
      continue;
    }
    const proof = newestBatchHeader(bytes, found.resumeAt, file.segment)?.sequence ?? 0;
    if (Math.max(proof, durableBefore) > nextBatch) {
      throw new CorruptionError(file.path, found.offset, `${found.reason}, though batch ${nextBatch} was durable`);
    }
    if (proof === nextBatch) return end;
    if (hasRemains(bytes, offset, file.segment)) {
      logger.warn('cut a torn batch off the log', { file: file.path, offset });
    }
    if (lastBatchOffset !== undefined && durableBefore < nextBatch) {
      // Nothing proves that the last batch is durable. A sync alone would not do: after one that failed, the page
      // cache counts as clean what the disk does not have.
      await file.writeAgain(bytes.subarray(lastBatchOffset, offset), lastBatchOffset);
    }
    return end;
  }
}

function applyRecords(replay: Replay, file: SegmentFile, records: readonly PlacedRecord[]): void {
  for (const record of records) {
    if (!replay.apply(record)) {
      throw new CorruptionError(file.path, record.place.offset, 'the record contradicts those before it');
    }
  }
}

function checkNothingMissing(replay: Replay, directory: string): void {
  const oldest = replay.segments.oldest;
  if (oldest.segment > replay.firstSegment) {
    const missing = `${directory}/${segmentName(oldest.segment - 1)}`;
    throw new CorruptionError(missing, 0, 'the segment is missing');
  }
  for (const group of replay.groups.values()) {
    const { firstMissing } = group;
    if (firstMissing !== undefined) {
      throw new CorruptionError(oldest.path, 0, `entry ${firstMissing} of shard ${group.id} is missing`);
    }
    group.raiseCommit();
  }
}
