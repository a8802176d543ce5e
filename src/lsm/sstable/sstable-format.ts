/**
 * The form of an SSTable; docs/formats/sstable.md has it to the byte.
 *
 *     data block … | range tombstone block | filter block | index block | properties block | footer
 *
 * Who points to bytes holds their checksum: the manifest that of the footer, the footer those of range tombstones, filter,
 * index and properties, the index those of the data blocks. So not only a changed byte is found, but also a block or a whole
 * table that is sound in itself and stands in the wrong place.
 */
import { maskedCrc32 } from '../../base/checksum.js';
import { ByteReader, ByteWriter, DecodeError, getU32 } from '../../base/coding.js';
import { compareBytes, copyBytes, equalBytes, utf8 } from '../../base/bytes.js';
import { Timestamp } from '../../base/ids.js';
import { recordHeadBytes, type ValuePointer } from '../value/value-file-format.js';

const sstableMagic = utf8('QRTABLE\n');
const sstableFormatVersion = 4;
export const footerBytes = 80;

/** Every so many entries of a block, one has its key in full: where a search can start. */
export const restartInterval = 16;

/** Where a block is. A block that the table does not have has no bytes: length 0, checksum 0. */
export interface BlockHandle {
  readonly offset: number;
  /** Bytes on disk, with the byte for the type of compression. */
  readonly length: number;
  /** Masked CRC-32 of those. */
  readonly checksum: number;
}

export interface Footer {
  /** Not there when there are no range tombstones. */
  readonly ranges: BlockHandle;
  /** Filter and index are not there when there are no entries. */
  readonly filter: BlockHandle;
  readonly index: BlockHandle;
  readonly properties: BlockHandle;
}

/** What a table says about itself. Manifest and table hold the same. */
export interface TableProperties {
  readonly entries: number;
  /** Distinct user keys. */
  readonly keys: number;
  /** Of the entries, how many are deletions. */
  readonly tombstones: number;
  /** Versions of all fragments; see RangeFragment. */
  readonly rangeTombstones: number;
  /** Of all keys and values of entries, as they were given. */
  readonly rawBytes: number;
  /** Of the contents of the data blocks: without what keys share, before compression. */
  readonly dataBytes: number;
  /** That the data blocks take in the file. */
  readonly storedBytes: number;
  /** Entries and range tombstones are of keys from this one on. */
  readonly smallestKey: Uint8Array;
  /** The first key beyond all of them. */
  readonly endKey: Uint8Array;
  /** Of entries and range tombstones. */
  readonly smallestVersion: Timestamp;
  readonly largestVersion: Timestamp;
  /** Of entries alone; 0 when there are none. */
  readonly largestEntryVersion: Timestamp;
  /** Those that entries of kind pointer name, by ascending number, with the bytes of the records that they point to. */
  readonly valueFiles: readonly NamedValueFile[];
}

export interface NamedValueFile {
  readonly number: number;
  readonly bytes: number;
}

/** What a manifest knows of a table, and a job that reads it must be told. Structured-cloneable. */
export interface TableMetadata extends TableProperties {
  /** Names the file. Never used twice in a tree. */
  readonly number: number;
  /** Size of the file. */
  readonly bytes: number;
  /** The checksum in the table's footer, and by it that of every byte of the table. */
  readonly fingerprint: number;
  /**
   * Whether the tree has only a part of the file: `smallestKey` and `endKey` are then those of the part, and within
   * what the table says of itself. All counts and versions are those of the file.
   */
  readonly trimmed: boolean;
}

/** In the index, the value of the entry that stands for a data block. */
export function encodeBlockHandle(handle: BlockHandle): Uint8Array {
  return new ByteWriter(16).varint(handle.offset).varint(handle.length).u32(handle.checksum).finish();
}

export function decodeBlockHandle(bytes: Uint8Array): BlockHandle {
  const reader = new ByteReader(bytes);
  const handle = { offset: reader.varint(), length: reader.varint(), checksum: reader.u32() };
  reader.end();
  return handle;
}

export function encodeFooter(footer: Footer): { bytes: Uint8Array; fingerprint: number } {
  const writer = new ByteWriter(footerBytes);
  for (const handle of [footer.ranges, footer.filter, footer.index, footer.properties]) {
    writer.u53(handle.offset).u32(handle.length).u32(handle.checksum);
  }
  writer.u32(sstableFormatVersion);
  const fingerprint = maskedCrc32(writer.view());
  writer.u32(fingerprint).raw(sstableMagic);
  return { bytes: writer.finish(), fingerprint };
}

/** What the footer says to be its table's fingerprint; the rest of it must agree. */
export function fingerprintOf(footer: Uint8Array): number {
  return getU32(footer, footerBytes - sstableMagic.length - 4);
}

/** Throws a {@link DecodeError} unless this is the footer with that fingerprint. */
export function decodeFooter(bytes: Uint8Array, fingerprint: number): Footer {
  const reader = new ByteReader(bytes);
  const handle = (): BlockHandle => ({ offset: reader.u53(), length: reader.u32(), checksum: reader.u32() });
  const covered = bytes.subarray(0, footerBytes - 4 - sstableMagic.length);
  if (bytes.length !== footerBytes) throw new DecodeError('the footer is cut off');
  if (maskedCrc32(covered) !== fingerprint) throw new DecodeError('the footer is not that of the table wanted here');
  const footer = { ranges: handle(), filter: handle(), index: handle(), properties: handle() };
  const version = reader.u32();
  if (version !== sstableFormatVersion) throw new DecodeError(`unknown format version ${version}`);
  if (reader.u32() !== fingerprint) throw new DecodeError('the footer does not match its checksum');
  if (!equalBytes(reader.raw(sstableMagic.length), sstableMagic)) throw new DecodeError('not an SSTable');
  return footer;
}

export function encodeProperties(writer: ByteWriter, properties: TableProperties): void {
  writer
    .varint(properties.entries)
    .varint(properties.keys)
    .varint(properties.tombstones)
    .varint(properties.rangeTombstones)
    .varint(properties.rawBytes)
    .varint(properties.dataBytes)
    .varint(properties.storedBytes)
    .bytes(properties.smallestKey)
    .bytes(properties.endKey)
    .varint(properties.smallestVersion)
    .varint(properties.largestVersion)
    .varint(properties.largestEntryVersion)
    .varint(properties.valueFiles.length);
  for (const { number, bytes } of properties.valueFiles) writer.varint(number).varint(bytes);
}

export function decodeProperties(reader: ByteReader): TableProperties {
  return {
    entries: reader.varint(),
    keys: reader.varint(),
    tombstones: reader.varint(),
    rangeTombstones: reader.varint(),
    rawBytes: reader.varint(),
    dataBytes: reader.varint(),
    storedBytes: reader.varint(),
    smallestKey: copyBytes(reader.bytes()),
    endKey: copyBytes(reader.bytes()),
    smallestVersion: Timestamp(reader.varint()),
    largestVersion: Timestamp(reader.varint()),
    largestEntryVersion: Timestamp(reader.varint()),
    valueFiles: decodeValueFiles(reader),
  };
}

function decodeValueFiles(reader: ByteReader): readonly NamedValueFile[] {
  const files: NamedValueFile[] = [];
  for (let left = reader.varint(); left > 0; left--) files.push({ number: reader.varint(), bytes: reader.varint() });
  return files;
}

export function equalProperties(a: TableProperties, b: TableProperties): boolean {
  return equalCounts(a, b) && equalBytes(a.smallestKey, b.smallestKey) && equalBytes(a.endKey, b.endKey);
}

/** Whether the table with these properties can be the one that a manifest means. */
export function isTableOf(metadata: TableMetadata, properties: TableProperties): boolean {
  if (!metadata.trimmed) return equalProperties(metadata, properties);
  return (
    equalCounts(metadata, properties) &&
    compareBytes(properties.smallestKey, metadata.smallestKey) <= 0 &&
    compareBytes(metadata.endKey, properties.endKey) <= 0
  );
}

function equalCounts(a: TableProperties, b: TableProperties): boolean {
  return (
    a.entries === b.entries &&
    a.keys === b.keys &&
    a.tombstones === b.tombstones &&
    a.rangeTombstones === b.rangeTombstones &&
    a.rawBytes === b.rawBytes &&
    a.dataBytes === b.dataBytes &&
    a.storedBytes === b.storedBytes &&
    a.smallestVersion === b.smallestVersion &&
    a.largestVersion === b.largestVersion &&
    a.largestEntryVersion === b.largestEntryVersion &&
    equalValueFiles(a.valueFiles, b.valueFiles)
  );
}

function equalValueFiles(a: readonly NamedValueFile[], b: readonly NamedValueFile[]): boolean {
  return a.length === b.length && a.every(({ number, bytes }, i) => number === b[i].number && bytes === b[i].bytes);
}

/** Counts what entries of kind pointer name. */
export class NamedValueFiles {
  readonly #bytes = new Map<number, number>();

  add({ file, length }: ValuePointer): void {
    this.#bytes.set(file, (this.#bytes.get(file) ?? 0) + recordHeadBytes + length);
  }

  get all(): readonly NamedValueFile[] {
    return [...this.#bytes].map(([number, bytes]) => ({ number, bytes })).sort((a, b) => a.number - b.number);
  }
}
