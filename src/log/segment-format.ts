/**
 * The bytes of a log segment: sizes, magic numbers, names and the two headers. docs/formats/log.md has the same as
 * tables, and says how damage is told from a torn tail.
 *
 * segment = segment header, batch*, unused space (zeros, a proof, the rest of a torn batch, or what an earlier segment left)
 * proof   = batch header without a body
 * batch   = batch header, record*
 *
 * Every header and record names the segment and the offset at which it lies, under its checksum: bytes that belong
 * elsewhere (a recycled segment, a misdirected write) are never taken for what should be here.
 */
import { maskedCrc32 } from '../base/checksum.js';
import { DecodeError, getU32, getU53, putU32, putU53 } from '../base/coding.js';

export const segmentHeaderBytes = 32;
export const batchHeaderBytes = 36;
export const recordHeaderBytes = 24;
/** Disks lose, zero or misplace whole blocks, of this size at most (pages of the file system). */
const proofBlockBytes = 4096;

const formatVersion = 1;
/** 'QLSG' and 'QLBT' in the order of the bytes. */
const segmentMagic = 0x47534c51;
const batchMagic = 0x54424c51;
const batchMagicFirstByte = batchMagic & 0xff;
const batchMagicOffset = 4;

/** First byte of a record's body. Numbers are never used again. */
export const recordTypes = {
  entries: 1,
  hardState: 2,
  truncatePrefix: 3,
  firstSegment: 4,
  reset: 5,
  rewritten: 6,
  dropGroup: 7,
} as const;

export interface SegmentHeader {
  /** Number of the segment, from 1; consecutive. */
  readonly segment: number;
  /** Sequence number of the segment's first batch. What comes before it lies, durable, in earlier segments. */
  readonly firstBatch: number;
}

export interface BatchHeader {
  readonly segment: number;
  /** Of the header in the file, in bytes. */
  readonly offset: number;
  /** From 1, consecutive over all segments. A header with this number proves that all batches before are durable. */
  readonly sequence: number;
  /** Length of the records; 0 in a proof. */
  readonly bodyBytes: number;
}

const namePattern = /^(\d{10,16})\.log$/;

export function segmentName(segment: number): string {
  return `${segment.toString().padStart(10, '0')}.log`;
}

/** The number of the segment with this file name; undefined when it is no segment's. */
export function segmentOfName(name: string): number | undefined {
  const segment = Number(namePattern.exec(name)?.[1]);
  return Number.isSafeInteger(segment) && segment >= 1 && segmentName(segment) === name ? segment : undefined;
}

const sparePattern = /^\d{10,16}\.spare$/;

/** Of the file of a segment that is no longer needed, kept to be overwritten. */
export function spareName(segment: number): string {
  return `${segment.toString().padStart(10, '0')}.spare`;
}

export function isSpareName(name: string): boolean {
  return sparePattern.test(name);
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  putU32(bytes, 4, segmentMagic);
  putU32(bytes, 8, formatVersion);
  putU53(bytes, 16, header.segment);
  putU53(bytes, 24, header.firstBatch);
  putU32(bytes, 0, maskedCrc32(bytes.subarray(4)));
  return bytes;
}

/** Throws {@link DecodeError}. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader {
  if (bytes.length < segmentHeaderBytes) throw new DecodeError('the segment header is cut short');
  if (getU32(bytes, 4) !== segmentMagic) throw new DecodeError('no segment header');
  if (getU32(bytes, 0) !== maskedCrc32(bytes.subarray(4, segmentHeaderBytes))) {
    throw new DecodeError('the checksum of the segment header does not match');
  }
  const version = getU32(bytes, 8);
  if (version !== formatVersion) throw new DecodeError(`log format ${version} is unknown to this release`);
  return { segment: getU53(bytes, 16), firstBatch: getU53(bytes, 24) };
}

/** Writes a batch header to the start of `target`. */
export function putBatchHeader(target: Uint8Array, header: BatchHeader): void {
  putU32(target, 4, batchMagic);
  putU53(target, 8, header.segment);
  putU53(target, 16, header.offset);
  putU53(target, 24, header.sequence);
  putU32(target, 32, header.bodyBytes);
  putU32(target, 0, maskedCrc32(target.subarray(4, batchHeaderBytes)));
}

/** The batch header at `offset` of a whole segment; undefined when there is none that belongs there. */
export function batchHeaderAt(bytes: Uint8Array, offset: number, segment: number): BatchHeader | undefined {
  if (offset + batchHeaderBytes > bytes.length) return undefined;
  if (getU32(bytes, offset + batchMagicOffset) !== batchMagic) return undefined;
  const checksum = maskedCrc32(bytes.subarray(offset + 4, offset + batchHeaderBytes));
  if (getU32(bytes, offset) !== checksum) return undefined;
  if (getU53(bytes, offset + 8) !== segment || getU53(bytes, offset + 16) !== offset) return undefined;
  return { segment, offset, sequence: getU53(bytes, offset + 24), bodyBytes: getU32(bytes, offset + 32) };
}

/**
 * Of all batch headers at or after `from`, wherever they lie, the one with the highest sequence number: the proof of
 * how far batches were durable.
 */
export function newestBatchHeader(bytes: Uint8Array, from: number, segment: number): BatchHeader | undefined {
  let newest: BatchHeader | undefined;
  for (let at = from + batchMagicOffset; ; at++) {
    at = bytes.indexOf(batchMagicFirstByte, at);
    if (at < 0) return newest;
    const header = batchHeaderAt(bytes, at - batchMagicOffset, segment);
    if (header !== undefined && header.sequence > (newest?.sequence ?? 0)) newest = header;
  }
}

/**
 * Whether something of this segment's own life, whole or not, lies at or after `from`: the header of a batch or of a record, which
 * both name segment and offset in the same place.
 */
export function hasRemains(bytes: Uint8Array, from: number, segment: number): boolean {
  const [segmentAt, offsetAt] = [8, 16];
  for (let at = from + segmentAt; ; at++) {
    at = bytes.indexOf(segment % 256, at);
    const start = at - segmentAt;
    if (at < 0 || start + recordHeaderBytes > bytes.length) return false;
    if (getU32(bytes, at) === segment % 2 ** 32 && getU32(bytes, start + offsetAt) === start) return true;
  }
}

/**
 * Where to put the proof that the batches before `end` are durable: in another block than they are in, so that what
 * damages the last of them does not take the proof along.
 */
export function proofOffset(end: number): number {
  return Math.ceil(end / proofBlockBytes) * proofBlockBytes;
}
