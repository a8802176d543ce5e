/**
 * A blocked bloom filter (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007): a key's
 * bits all lie in one line of 64 bytes, so that a probe costs one cache miss.
 *
 * Form: lines of 64 bytes, then one byte, the number of probes.
 */
import { DecodeError, getU32 } from '../../base/coding.js';

const lineBytes = 64;
const lineBits = lineBytes * 8;

/** 32 well-mixed bits of a user key: FNV-1a over words, finished as in MurmurHash3. Part of the format. */
export function bloomHash(key: Uint8Array): number {
  let hash = 0x811c9dc5 ^ key.length;
  let at = 0;
  for (; at + 4 <= key.length; at += 4) hash = mix(hash ^ getU32(key, at));
  for (; at < key.length; at++) hash = Math.imul(hash ^ key[at], 0x01000193);
  return mix(hash) >>> 0;
}

function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** A second hash, independent enough of the first, for the bits within the line. */
function secondHash(hash: number): number {
  return mix(hash ^ 0x9e3779b9) >>> 0;
}

function lineOf(hash: number, lines: number): number {
  return Math.floor((hash / 0x1_0000_0000) * lines);
}

/** The filter of these keys, given by their hashes. */
export function buildBloomFilter(hashes: readonly number[], bitsPerKey: number): Uint8Array {
  const lines = Math.max(1, Math.ceil((hashes.length * bitsPerKey) / lineBits));
  const probes = Math.min(16, Math.max(1, Math.round(bitsPerKey * Math.LN2)));
  const filter = new Uint8Array(lines * lineBytes + 1);
  filter[filter.length - 1] = probes;
  for (const hash of hashes) {
    const line = lineOf(hash, lines) * lineBytes;
    let bits = secondHash(hash);
    const step = (bits >>> 17) | 1;
    for (let i = 0; i < probes; i++, bits += step) {
      filter[line + ((bits >>> 3) & (lineBytes - 1))] |= 1 << (bits & 7);
    }
  }
  return filter;
}

/** False only if the filter was built without this key. */
export function bloomMayContain(filter: Uint8Array, hash: number): boolean {
  const last = filter.length - 1;
  if (last < lineBytes || last % lineBytes !== 0) throw new DecodeError('a bloom filter that is not made of lines');
  const lines = last / lineBytes;
  const probes = filter[last];
  const line = lineOf(hash, lines) * lineBytes;
  let bits = secondHash(hash);
  const step = (bits >>> 17) | 1;
  for (let i = 0; i < probes; i++, bits += step) {
    if ((filter[line + ((bits >>> 3) & (lineBytes - 1))] & (1 << (bits & 7))) === 0) return false;
  }
  return true;
}
