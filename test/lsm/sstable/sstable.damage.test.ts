/** Damage to a compressed table: every byte. Damage to trees as a whole is in tree.damage.test.ts. */
import { beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { bloomHash } from '../../../src/lsm/sstable/bloom-filter.js';
import { footerBytes, type TableMetadata } from '../../../src/lsm/sstable/sstable-format.js';
import { SstableReader } from '../../../src/lsm/sstable/sstable-reader.js';
import { jobResources } from '../../../src/lsm/sstable/sstable-resources.js';
import { SstableWriter } from '../../../src/lsm/sstable/sstable-writer.js';
import { verifySstable } from '../../../src/lsm/sstable/verify-sstable.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { newDisk, text } from '../harness.js';

const path = '000001.sst';
const keys = Array.from({ length: 40 }, (_, i) => `account/${String(i).padStart(4, '0')}`);
let intact: SimDisk;
let metadata: TableMetadata;

function valueOf(key: string): string {
  return `{"account":"${key}","currency":"EUR","state":"open"}`;
}

function readerOf(disk: SimDisk): SstableReader {
  return new SstableReader(path, metadata, jobResources(disk, 1 << 20)());
}

beforeAll(async () => {
  intact = newDisk();
  const options = { blockBytes: 600, bloomBitsPerKey: 10, compression: 'snappy' } as const;
  const writer = await SstableWriter.create(intact, path, 1, options);
  for (const key of keys) await writer.add(utf8(key), 1, 'put', utf8(valueOf(key)));
  metadata = await writer.finish();
});

async function corruptionOf(work: Promise<unknown>): Promise<CorruptionError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CorruptionError) return error;
    throw error;
  }
  throw new Error('nothing was found');
}

describe('a compressed table', () => {
  it('has several blocks, which are smaller than their contents', async () => {
    expect(metadata.storedBytes).toBeLessThan(metadata.dataBytes / 2);
    expect(metadata.dataBytes).toBeGreaterThan(3 * 600);
    await verifySstable(readerOf(intact));
  });

  it('is found damaged, whichever byte has flipped, and no get answers wrongly', async () => {
    for (let offset = 0; offset < metadata.bytes; offset++) {
      const disk = intact.clone(new Prng(1));
      disk.corrupt(path, offset, 1 << (offset % 8));
      const found = await corruptionOf(verifySstable(readerOf(disk)));
      expect(found.file).toBe(path);
      expect(found.offset, `byte ${offset}`).toBeLessThanOrEqual(Math.max(offset, metadata.bytes - footerBytes));
      const reader = readerOf(disk);
      const key = keys[offset % keys.length];
      try {
        const got = await reader.get(utf8(key), bloomHash(utf8(key)), 1);
        expect(got && text(got.value)).toBe(valueOf(key));
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptionError);
      }
    }
  });
});
