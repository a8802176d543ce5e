import { emptyBytes } from '../../base/bytes.js';
import { CorruptionError } from '../../base/errors.js';
import { Timestamp, timestampMax } from '../../base/ids.js';
import type { MaybePromise } from '../../base/promises.js';
import type { Disk } from '../../env/disk.js';
import type { ValuePointer } from '../value/value-file-format.js';
import { fingerprintOf, footerBytes, type TableMetadata } from './sstable-format.js';
import { SstableIterator } from './sstable-iterator.js';
import { SstableReader } from './sstable-reader.js';
import { jobResources } from './sstable-resources.js';
import { verifySstable } from './verify-sstable.js';

/** Until the table has said what it holds. */
const unknownProperties = {
  entries: 0,
  keys: 0,
  tombstones: 0,
  rangeTombstones: 0,
  rawBytes: 0,
  dataBytes: 0,
  storedBytes: 0,
  smallestKey: emptyBytes,
  endKey: emptyBytes,
  smallestVersion: Timestamp(0),
  largestVersion: Timestamp(0),
  largestEntryVersion: Timestamp(0),
  valueFiles: [],
};

/**
 * What a table says of itself that no manifest names, after all of it was read and checked. Rejects with a
 * CorruptionError if anything does not check.
 * @param number the one that the table is to have
 */
export async function verifyForeignSstable(disk: Disk, path: string, number: number): Promise<TableMetadata> {
  const resources = jobResources(disk);
  const identity = { number, ...(await readIdentity(disk, path)), trimmed: false };
  const unread = new SstableReader(path, { ...unknownProperties, ...identity }, resources());
  const properties = await unread.readProperties().finally(() => unread.close());
  const metadata = { ...properties, ...identity };
  await verifySstableFile(disk, path, metadata);
  return metadata;
}

/** Reads all of a table that a manifest describes. Rejects with a CorruptionError if it is not that one, or damaged. */
export async function verifySstableFile(
  disk: Disk,
  path: string,
  metadata: TableMetadata,
  follow?: (pointer: ValuePointer) => MaybePromise<unknown>,
): Promise<void> {
  const reader = new SstableReader(path, metadata, jobResources(disk)());
  await verifySstable(reader, follow).finally(() => reader.close());
}

/**
 * Of what the tree has of the table: for a trimmed one the whole part is read. What else is in the file may be older, and
 * is nobody's.
 */
export async function smallestVersionOf(disk: Disk, path: string, metadata: TableMetadata): Promise<Timestamp> {
  if (!metadata.trimmed) return metadata.smallestVersion;
  const reader = new SstableReader(path, metadata, jobResources(disk)());
  try {
    let smallest = timestampMax;
    for (const { versions } of await reader.rangeTombstones()) {
      for (const version of versions) if (version < smallest) smallest = version;
    }
    const entries = new SstableIterator(reader, { lower: emptyBytes, upper: undefined }, false);
    for (await entries.start(); entries.valid; await entries.advance()) {
      if (entries.version < smallest) smallest = entries.version;
    }
    return smallest;
  } finally {
    await reader.close();
  }
}

async function readIdentity(disk: Disk, path: string): Promise<Pick<TableMetadata, 'bytes' | 'fingerprint'>> {
  const file = await disk.open(path, 'read');
  try {
    const bytes = await file.size();
    if (bytes < footerBytes) throw new CorruptionError(path, bytes, 'it is shorter than the footer of a table');
    const footer = new Uint8Array(footerBytes);
    await file.read(footer, bytes - footerBytes);
    return { bytes, fingerprint: fingerprintOf(footer) };
  } finally {
    await file.close();
  }
}
