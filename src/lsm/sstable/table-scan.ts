/**
 * Reads a table from front to back, for a job that needs all of it once: by few large reads instead of one for each
 * block, and past every cache. What comes out is checked as anything that an SstableReader hands out.
 */
import { compareBytes } from '../../base/bytes.js';
import { maskedCrc32 } from '../../base/checksum.js';
import type { Disk, DiskFile } from '../../env/disk.js';
import { BlockCursor } from './block-cursor.js';
import { decompressBlock } from './compression.js';
import { decodeBlockHandle, type BlockHandle } from './sstable-format.js';
import type { SstableReader } from './sstable-reader.js';

/** Read at a time, or one block if that is larger: 30 blocks cost as much as two that are read one by one. */
const pieceBytes = 256 * 1024;

/** The contents of a data block, and where in the file it is. */
export interface ScannedBlock {
  readonly offset: number;
  readonly contents: Uint8Array;
}

/**
 * The data blocks, some at a time and in order; of a trimmed table those that have keys of the tree's part of it.
 * The file is open until the generator has ended. Throws CorruptionErrors.
 */
export async function* scanTable(table: SstableReader, disk: Disk): AsyncGenerator<readonly ScannedBlock[], void> {
  const handles = await dataBlocksOf(table);
  const file = await disk.open(table.path, 'read');
  try {
    for (let at = 0; at < handles.length;) {
      const from = at;
      const end = handles[from].offset + pieceBytes;
      do at++;
      while (at < handles.length && handles[at].offset + handles[at].length <= end);
      yield await readBlocks(table, file, handles.slice(from, at));
    }
  } finally {
    await file.close();
  }
}

async function dataBlocksOf(table: SstableReader): Promise<BlockHandle[]> {
  if (table.metadata.entries === 0) return [];
  const { index: indexHandle } = await table.footer();
  const index = await table.readBlock(indexHandle, false);
  const { trimmed, smallestKey, endKey } = table.metadata;
  return table.decode(indexHandle.offset, () => {
    const handles: BlockHandle[] = [];
    const cursor = new BlockCursor(index);
    if (trimmed) cursor.seek(smallestKey, Number.MAX_SAFE_INTEGER);
    else cursor.toFirst();
    for (; cursor.valid; cursor.next()) {
      const handle = decodeBlockHandle(cursor.value);
      const before = handles.at(-1);
      if (before !== undefined && handle.offset !== before.offset + before.length) {
        throw table.corruption(before.offset, 'the index leaves out bytes');
      }
      handles.push(handle);
      // What the index names is the last key of a block: one at `endKey` or beyond it ends the part.
      if (trimmed && compareBytes(cursor.key, endKey) >= 0) break;
    }
    return handles;
  });
}

async function readBlocks(
  table: SstableReader,
  file: DiskFile,
  handles: readonly BlockHandle[],
): Promise<readonly ScannedBlock[]> {
  const start = handles[0].offset;
  const last = handles[handles.length - 1];
  if (last.offset + last.length > table.metadata.bytes) throw table.corruption(0, 'a block outside of the file');
  const stored = new Uint8Array(last.offset + last.length - start);
  const got = await file.read(stored, start);
  if (got !== stored.length) throw table.corruption(start + got, `it ends after ${got} of ${stored.length} bytes`);
  return handles.map(({ offset, length, checksum }) => {
    const block = stored.subarray(offset - start, offset - start + length);
    if (maskedCrc32(block) !== checksum) throw table.corruption(offset, 'a block does not match its checksum');
    return { offset, contents: table.decode(offset, () => decompressBlock(block)) };
  });
}
