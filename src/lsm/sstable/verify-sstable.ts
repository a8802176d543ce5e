import { compareBytes, emptyBytes, equalBytes } from '../../base/bytes.js';
import { compareEntries } from '../entry.js';
import { BlockCursor } from './block-cursor.js';
import { bloomHash, bloomMayContain } from './bloom-filter.js';
import { decodeBlockHandle, equalProperties, footerBytes, type TableProperties } from './sstable-format.js';
import type { SstableReader } from './sstable-reader.js';

/**
 * Reads every byte of a table from the file and checks that its parts agree: checksums, order, index, filter and
 * properties, and that the blocks fill the file without gaps. Rejects with the first CorruptionError.
 */
export async function verifySstable(table: SstableReader): Promise<void> {
  const footer = await table.footer();
  const index = await table.readBlock(footer.index, false);
  const filter = await table.readBlock(footer.filter, false);
  const found = new TableSummary();
  let offset = 0;
  const handles = table.decode(footer.index.offset, () => new BlockCursor(index));
  for (handles.toFirst(); handles.valid; handles.next()) {
    const handle = table.decode(footer.index.offset, () => decodeBlockHandle(handles.value));
    if (handle.offset !== offset) throw table.corruption(offset, 'the index leaves out bytes');
    const block = await table.readBlock(handle, false);
    table.decode(handle.offset, () => {
      const cursor = new BlockCursor(block);
      for (cursor.toFirst(); cursor.valid; cursor.next()) {
        if (!found.add(cursor)) throw table.corruption(handle.offset, 'entries are out of order');
        if (!bloomMayContain(filter, bloomHash(cursor.key))) {
          throw table.corruption(footer.filter.offset, 'the bloom filter lacks a key');
        }
      }
    });
    if (!equalBytes(found.largestKey, handles.key) || found.lastVersion !== handles.version) {
      throw table.corruption(footer.index.offset, 'the index disagrees with a block about its last entry');
    }
    offset += handle.length;
  }
  for (const handle of [footer.filter, footer.index, footer.properties]) {
    if (handle.offset !== offset) throw table.corruption(offset, 'blocks do not follow each other');
    offset += handle.length;
  }
  if (offset + footerBytes !== table.metadata.bytes) throw table.corruption(offset, 'bytes that belong to no block');
  const properties = await table.readProperties();
  if (!equalProperties(properties, table.metadata) || !found.agreesWith(properties)) {
    throw table.corruption(footer.properties.offset, 'properties disagree with the entries or with the manifest');
  }
}

/** Counts entries as a writer of the table must have done. */
class TableSummary {
  #entries = 0;
  #tombstones = 0;
  #smallestKey: Uint8Array | undefined;
  #smallestVersion = Number.MAX_SAFE_INTEGER;
  #largestVersion = 0;
  largestKey = emptyBytes;
  lastVersion = 0;

  /** False if the entry does not come after the last one. */
  add(entry: BlockCursor): boolean {
    const { key, version } = entry;
    if (this.#entries > 0 && compareEntries(this.largestKey, this.lastVersion, key, version) >= 0) return false;
    this.#entries++;
    if (entry.kind === 'delete') this.#tombstones++;
    this.#smallestKey ??= key;
    this.largestKey = key;
    this.lastVersion = version;
    this.#smallestVersion = Math.min(this.#smallestVersion, version);
    this.#largestVersion = Math.max(this.#largestVersion, version);
    return true;
  }

  agreesWith(properties: TableProperties): boolean {
    return (
      this.#entries === properties.entries &&
      this.#tombstones === properties.tombstones &&
      this.#smallestKey !== undefined &&
      compareBytes(this.#smallestKey, properties.smallestKey) === 0 &&
      compareBytes(this.largestKey, properties.largestKey) === 0 &&
      this.#smallestVersion === properties.smallestVersion &&
      this.#largestVersion === properties.largestVersion
    );
  }
}
