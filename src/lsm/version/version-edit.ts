import { ByteReader, ByteWriter, DecodeError } from '../../base/coding.js';
import { LogIndex } from '../../base/ids.js';
import { decodeProperties, encodeProperties, type TableMetadata } from '../sstable/sstable-format.js';
import type { ValueFileMetadata } from '../value/value-file-format.js';

/** Levels are 0 … levelCount - 1. */
export const levelCount = 7;

interface PlacedTable {
  readonly level: number;
  readonly table: TableMetadata;
}

/** What changes from one version of the tree to the next. A table that is removed and added moves to another level. */
export interface VersionEdit {
  readonly removed: readonly { readonly level: number; readonly number: number }[];
  readonly added: readonly PlacedTable[];
  /** Value files that tables of `added` name. One goes with the last table that names it. */
  readonly addedValues?: readonly ValueFileMetadata[];
  /** Index of the last batch whose entries are in tables. Undefined: as before. */
  readonly appliedIndex?: LogIndex;
}

/** An edit as it is recorded, with what the tree must remember besides its tables. */
export interface VersionRecord {
  readonly removed: VersionEdit['removed'];
  readonly added: VersionEdit['added'];
  readonly addedValues: readonly ValueFileMetadata[];
  readonly appliedIndex: LogIndex;
  /** All numbers from this one on are free. */
  readonly nextFileNumber: number;
}

export function encodeVersionRecord(record: VersionRecord): Uint8Array {
  const writer = new ByteWriter().varint(record.nextFileNumber).varint(record.appliedIndex);
  writer.varint(record.removed.length);
  for (const { level, number } of record.removed) writer.varint(level).varint(number);
  writer.varint(record.added.length);
  for (const { level, table } of record.added) {
    writer.varint(level).varint(table.number).varint(table.bytes).u32(table.fingerprint);
    encodeProperties(writer, table);
    writer.u8(table.trimmed ? 1 : 0);
  }
  writer.varint(record.addedValues.length);
  for (const { number, bytes, fingerprint, values, valueBytes } of record.addedValues) {
    writer.varint(number).varint(bytes).u32(fingerprint).varint(values).varint(valueBytes);
  }
  return writer.finish();
}

/** Throws a DecodeError if the bytes are not of this form. */
export function decodeVersionRecord(bytes: Uint8Array): VersionRecord {
  const reader = new ByteReader(bytes);
  const nextFileNumber = reader.varint();
  const appliedIndex = LogIndex(reader.varint());
  const removed: { level: number; number: number }[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    removed.push({ level: decodeLevel(reader), number: reader.varint() });
  }
  const added: PlacedTable[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const level = decodeLevel(reader);
    const identity = { number: reader.varint(), bytes: reader.varint(), fingerprint: reader.u32() };
    added.push({ level, table: { ...identity, ...decodeProperties(reader), trimmed: decodeFlag(reader) } });
  }
  const addedValues: ValueFileMetadata[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const identity = { number: reader.varint(), bytes: reader.varint(), fingerprint: reader.u32() };
    addedValues.push({ ...identity, values: reader.varint(), valueBytes: reader.varint() });
  }
  reader.end();
  return { nextFileNumber, appliedIndex, removed, added, addedValues };
}

function decodeLevel(reader: ByteReader): number {
  const level = reader.varint();
  if (level >= levelCount) throw new DecodeError(`there is no level ${level}`);
  return level;
}

function decodeFlag(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw new DecodeError(`a flag of ${byte}`);
  return byte === 1;
}
