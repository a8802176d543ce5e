/** Compression of blocks, both ways: what docs/decisions/2026-11-21-lsm-compression.md is based on. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';

import { compressSync, uncompress, uncompressSync } from 'snappy';

import { concatBytes } from '../../src/base/bytes.js';
import type { Row } from '../measure.js';
import { cpuMicrosPerCall } from './cpu-time.js';
import { sampleBlocks, valueKinds } from './sample-blocks.js';

const blockBytes = 8192;

interface Codec {
  readonly compress: (bytes: Uint8Array) => Uint8Array;
  readonly decompress: (bytes: Uint8Array) => string | Uint8Array;
}

const codecs: Readonly<Record<string, Codec>> = {
  'snappy, into external memory': {
    compress: (bytes) => compressSync(bytes),
    decompress: (bytes) => uncompressSync(bytes, { asBuffer: true }),
  },
  'snappy, copied': {
    compress: (bytes) => compressSync(bytes, { copyOutputData: true }),
    decompress: (bytes) => uncompressSync(bytes, { asBuffer: true, copyOutputData: true }),
  },
  'zlib, level 1': {
    compress: (bytes) => deflateRawSync(bytes, { level: 1 }),
    decompress: (bytes) => inflateRawSync(bytes),
  },
  'none, copied': { compress: (bytes) => concatBytes(bytes), decompress: (bytes) => concatBytes(bytes) },
};

export async function compression(options: { quick: boolean; progress: (text: string) => void }): Promise<Row[]> {
  const calls = options.quick ? 2000 : 20_000;
  const rows: Row[] = [];
  for (const kind of Object.keys(valueKinds)) {
    const blocks = sampleBlocks(kind, blockBytes, 200);
    const size = blocks.reduce((sum, block) => sum + block.length, 0);
    for (const [name, { compress, decompress }] of Object.entries(codecs)) {
      options.progress(`${kind}, ${name}`);
      const compressed = blocks.map(compress);
      const smaller = compressed.reduce((sum, block) => sum + block.length, 0);
      const there = cpuMicrosPerCall(calls, (n) => compress(blocks[n % blocks.length]));
      const back = cpuMicrosPerCall(calls, (n) => decompress(compressed[n % blocks.length]));
      const megabytes = size / blocks.length;
      rows.push({
        name: `${kind}, ${name}: size`,
        unit: '% of the contents',
        ours: Math.round((100 * smaller) / size),
      });
      rows.push({ name: `${kind}, ${name}: compress`, unit: 'MB/s of one core', ours: Math.round(megabytes / there) });
      rows.push({ name: `${kind}, ${name}: decompress`, unit: 'MB/s of one core', ours: Math.round(megabytes / back) });
    }
  }
  rows.push(...(await overheads(calls)));
  return rows;
}

/** What a call costs besides the bytes, and what it costs to let another thread do it. */
async function overheads(calls: number): Promise<Row[]> {
  const tiny = compressSync(new Uint8Array(64));
  const call = cpuMicrosPerCall(calls, () => uncompressSync(tiny, { asBuffer: true, copyOutputData: true }));
  const [block] = sampleBlocks('JSON documents', blockBytes, 1).map((bytes) => compressSync(bytes));
  const before = process.cpuUsage();
  for (let n = 0; n < calls / 10; n++) await uncompress(block, { asBuffer: true });
  const { user, system } = process.cpuUsage(before);
  const tenths = (micros: number): number => Math.round(micros * 10) / 10;
  return [
    { name: 'snappy, synchronous call of 64 B', unit: 'µs of one core', ours: tenths(call) },
    {
      name: `snappy, asynchronous call of ${blockBytes} B`,
      unit: 'µs of all cores',
      ours: tenths((user + system) / (calls / 10)),
    },
  ];
}
