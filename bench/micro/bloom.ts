/** The blocked bloom filter of tables against a plain one of the same size: building, probing, false positives. */
import { utf8 } from '../../src/base/bytes.js';
import { bloomHash, bloomMayContain, buildBloomFilter } from '../../src/lsm/sstable/bloom-filter.js';
import type { Row } from '../measure.js';
import { cpuMicrosPerCall } from './cpu-time.js';

const bitsPerKey = 10;
const probes = 7;

/** Bits anywhere in the filter: each probe is a cache miss where the filter is large. */
function buildPlainFilter(hashes: readonly number[]): Uint8Array {
  const filter = new Uint8Array(Math.ceil((hashes.length * bitsPerKey) / 8));
  for (const hash of hashes) {
    for (let i = 0; i < probes; i++) {
      const bit = plainBit(hash, i, filter);
      filter[bit >>> 3] |= 1 << (bit & 7);
    }
  }
  return filter;
}

function plainMayContain(filter: Uint8Array, hash: number): boolean {
  for (let i = 0; i < probes; i++) {
    const bit = plainBit(hash, i, filter);
    if ((filter[bit >>> 3] & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

/** Double hashing over 32 bits, as LevelDB does it. */
function plainBit(hash: number, i: number, filter: Uint8Array): number {
  const delta = ((hash >>> 17) | (hash << 15)) >>> 0;
  return ((hash + Math.imul(i, delta)) >>> 0) % (filter.length * 8);
}

export function bloom({ quick, progress }: { quick: boolean; progress: (text: string) => void }): Promise<Row[]> {
  const rows: Row[] = [];
  const calls = quick ? 300_000 : 3_000_000;
  const nanos = (body: (n: number) => void): number => Math.round(1e4 * cpuMicrosPerCall(calls, body)) / 10;
  const keys = Array.from({ length: 10_000 }, (_, n) => utf8(`key-${String(n).padStart(12, '0')}`));
  rows.push({ name: 'hash of a key of 16 B', unit: 'ns', ours: nanos((n) => bloomHash(keys[n % keys.length])) });
  for (const count of quick ? [10_000, 1_000_000] : [10_000, 1_000_000, 10_000_000]) {
    progress(`${count} keys`);
    const inside = Array.from({ length: count }, (_, n) => bloomHash(utf8(`in-${n}`)));
    const outside = Array.from({ length: 1_000_000 }, (_, n) => bloomHash(utf8(`out-${n}`)));
    const rival = 'plain bloom filter';
    const compare = (name: string, unit: string, ours: number, theirs: number): void => {
      rows.push({
        name: `${count} keys: ${name}`,
        unit,
        ours,
        rival,
        theirs,
        ratio: Math.round((100 * theirs) / ours) / 100,
      });
    };
    const rounds = Math.max(1, Math.round(calls / count));
    const perKey = (build: () => void): number => Math.round((1e4 * cpuMicrosPerCall(rounds, build)) / count) / 10;
    compare(
      'build',
      'ns/key',
      perKey(() => buildBloomFilter(inside, bitsPerKey)),
      perKey(() => buildPlainFilter(inside)),
    );
    const blocked = buildBloomFilter(inside, bitsPerKey);
    const plain = buildPlainFilter(inside);
    for (const [what, hashes] of [
      ['present', inside],
      ['missing', outside],
    ] as const) {
      const at = (n: number): number => hashes[(n * 7919) % hashes.length];
      compare(
        `probe of a ${what} key`,
        'ns',
        nanos((n) => bloomMayContain(blocked, at(n))),
        nanos((n) => plainMayContain(plain, at(n))),
      );
    }
    const share = (may: (hash: number) => boolean): number =>
      Math.round((1e4 * outside.filter(may).length) / outside.length) / 100;
    compare(
      'false positives',
      '%',
      share((hash) => bloomMayContain(blocked, hash)),
      share((hash) => plainMayContain(plain, hash)),
    );
  }
  return Promise.resolve(rows);
}
