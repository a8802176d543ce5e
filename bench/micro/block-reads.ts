/** Ways to read a block that the operating system has in memory, and what its checksum takes. */
import { closeSync, openSync, read, readSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { crc32 } from '../../src/base/checksum.js';
import { Prng } from '../../src/base/prng.js';
import type { Row, SuiteOptions } from '../measure.js';

const fileBytes = 32 * 1024 * 1024;
/** Reads under way at a time, where there are several. */
const together = 16;

export async function blockReads({ quick, progress }: SuiteOptions): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  const path = join(folder, 'file');
  await writeFile(path, new Prng(1).bytes(fileBytes));
  const handle = await open(path, 'r');
  const fd = openSync(path, 'r');
  const random = new Prng(2);
  const rows: Row[] = [];
  try {
    for (const blockBytes of [4096, 8192, 32_768]) {
      progress(`${blockBytes} B`);
      const offset = (): number => random.int(0, fileBytes - blockBytes);
      const pooled = (): Promise<void> =>
        new Promise((resolve, reject) => {
          read(fd, new Uint8Array(blockBytes), 0, blockBytes, offset(), (error) => (error ? reject(error) : resolve()));
        });
      const reused = new Uint8Array(blockBytes);
      const ways: readonly (readonly [string, number, () => unknown])[] = [
        ['FileHandle.read', 1, () => handle.read(new Uint8Array(blockBytes), 0, blockBytes, offset())],
        ['fs.read', 1, pooled],
        [`fs.read, ${together} at a time`, together, () => Promise.all(Array.from({ length: together }, pooled))],
        ['fs.readSync', 1, () => readSync(fd, new Uint8Array(blockBytes), 0, blockBytes, offset())],
        ['fs.readSync into the same array', 1, () => readSync(fd, reused, 0, blockBytes, offset())],
        ['checksum', 1, () => crc32(reused)],
      ];
      for (const [name, reads, body] of ways) {
        const micros = await cpuMicros((quick ? 5000 : 50_000) / reads, body);
        const unit = 'µs of all cores';
        rows.push({ name: `${name}, ${blockBytes} B`, unit, ours: Math.round((100 * micros) / reads) / 100 });
      }
    }
  } finally {
    closeSync(fd);
    await handle.close();
    await rm(folder, { recursive: true });
  }
  return rows;
}

/** Of one call, after a tenth of them to warm up. */
async function cpuMicros(calls: number, body: () => unknown): Promise<number> {
  const run = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const pending = body();
      if (pending instanceof Promise) await pending;
    }
  };
  await run(calls / 10);
  const before = process.cpuUsage();
  await run(calls);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}
