/**
 * The form of a value file, which holds large values for the tables of a tree; docs/formats/value-file.md has it to the byte.
 *
 *     header | record … | footer
 *
 * Who points to bytes holds their checksum, as with tables: an entry of kind pointer that of its value, the manifest that
 * of the footer, the footer that of all heads of records, and each head that of its record. So a value can be read by its
 * pointer alone, and a whole file be checked without any.
 */
import { equalBytes, utf8 } from '../../base/bytes.js';
import { maskedCrc32 } from '../../base/checksum.js';
import { ByteReader, ByteWriter, DecodeError } from '../../base/coding.js';

const valueFileMagic = utf8('QRVALUE\n');
const valueFileFormatVersion = 1;

export const valueHeaderBytes = 12;
/** Before the block of each record: its length and its checksum. */
export const recordHeadBytes = 8;
export const valueFooterBytes = 36;

/** Where a value is. */
export interface ValuePointer {
  /** Number of the value file. */
  readonly file: number;
  /** Of the record's block. */
  readonly offset: number;
  /** Bytes of the block, with the byte for the type of compression. */
  readonly length: number;
  /** Masked CRC-32 of those. */
  readonly checksum: number;
  /** Bytes of the value itself. */
  readonly valueBytes: number;
}

export interface ValueFileCounts {
  readonly values: number;
  /** Of all values, as they were given. */
  readonly valueBytes: number;
}

/** What a manifest knows of a value file. Structured-cloneable. */
export interface ValueFileMetadata extends ValueFileCounts {
  /** Names the file; of the same numbers as tables. */
  readonly number: number;
  /** Size of the file. */
  readonly bytes: number;
  /** The checksum in the footer, and by it that of every byte of the file. */
  readonly fingerprint: number;
}

/** In a table, the value of an entry of kind pointer. */
export function encodeValuePointer(pointer: ValuePointer): Uint8Array {
  const writer = new ByteWriter(24).varint(pointer.file).varint(pointer.offset).varint(pointer.length);
  return writer.varint(pointer.valueBytes).u32(pointer.checksum).finish();
}

export function decodeValuePointer(bytes: Uint8Array): ValuePointer {
  const reader = new ByteReader(bytes);
  const [file, offset, length, valueBytes] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const pointer = { file, offset, length, valueBytes, checksum: reader.u32() };
  reader.end();
  return pointer;
}

export function encodeValueHeader(): Uint8Array {
  return new ByteWriter(valueHeaderBytes).raw(valueFileMagic).u32(valueFileFormatVersion).finish();
}

/** Throws a {@link DecodeError} unless the file begins as one of values does. */
export function checkValueHeader(bytes: Uint8Array): void {
  const reader = new ByteReader(bytes);
  if (!equalBytes(reader.raw(valueFileMagic.length), valueFileMagic)) throw new DecodeError('not a value file');
  checkVersion(reader.u32());
}

/** What the footer says besides who it is. */
export interface ValueFooter extends ValueFileCounts {
  /** CRC-32 of the heads of all records, in order. */
  readonly headsCrc: number;
}

export function encodeValueFooter(footer: ValueFooter): { bytes: Uint8Array; fingerprint: number } {
  const writer = new ByteWriter(valueFooterBytes).u53(footer.values).u53(footer.valueBytes).u32(footer.headsCrc);
  writer.u32(valueFileFormatVersion);
  const fingerprint = maskedCrc32(writer.view());
  return { bytes: writer.u32(fingerprint).raw(valueFileMagic).finish(), fingerprint };
}

/** Throws a {@link DecodeError} unless this is the footer with that fingerprint. */
export function decodeValueFooter(bytes: Uint8Array, fingerprint: number): ValueFooter {
  if (bytes.length !== valueFooterBytes) throw new DecodeError('the footer is cut off');
  const covered = bytes.subarray(0, valueFooterBytes - 4 - valueFileMagic.length);
  if (maskedCrc32(covered) !== fingerprint)
    throw new DecodeError('the footer is not that of the value file wanted here');
  const reader = new ByteReader(bytes);
  const footer = { values: reader.u53(), valueBytes: reader.u53(), headsCrc: reader.u32() };
  checkVersion(reader.u32());
  if (reader.u32() !== fingerprint) throw new DecodeError('the footer does not match its checksum');
  if (!equalBytes(reader.raw(valueFileMagic.length), valueFileMagic)) throw new DecodeError('not a value file');
  return footer;
}

function checkVersion(version: number): void {
  if (version !== valueFileFormatVersion) throw new DecodeError(`unknown format version ${version}`);
}
