import { describe, expect, it } from 'vitest';
import { concatBytes, equalBytes, utf8 } from '../../../src/base/bytes.js';
import { ByteWriter, DecodeError } from '../../../src/base/coding.js';
import { Prng } from '../../../src/base/prng.js';
import { compressBlock, decompressBlock, type Compression } from '../../../src/lsm/sstable/compression.js';

function stored(contents: Uint8Array, compression: Compression): Uint8Array {
  const { bytes, type } = compressBlock(contents, compression);
  return concatBytes(bytes, Uint8Array.of(type));
}

const orders = utf8('{"order":1,"state":"paid","city":"Berlin"}'.repeat(200));

describe('a stored block', () => {
  it.each(['none', 'snappy'] as const)('has its contents again, with %s', (compression) => {
    const random = new Prng(7);
    for (let i = 0; i < 200; i++) {
      const part = random.bytes(random.int(1, 50));
      const contents = concatBytes(...Array.from({ length: random.int(1, 60) }, () => part), random.bytes(9));
      expect(decompressBlock(stored(contents, compression))).toEqual(contents);
    }
  });

  it('is small where compression helps, and as it was where it does not', () => {
    expect(stored(orders, 'snappy').length).toBeLessThan(orders.length / 10);
    expect(stored(orders, 'none')).toEqual(concatBytes(orders, Uint8Array.of(0)));
    const noise = new Prng(1).bytes(8192);
    expect(stored(noise, 'snappy')).toEqual(concatBytes(noise, Uint8Array.of(0)));
    // One part in twelve would be saved.
    const mostlyNoise = concatBytes(noise, new Uint8Array(750));
    expect(stored(mostlyNoise, 'snappy').length).toBe(mostlyNoise.length + 1);
  });

  it('compresses as far as the format goes', () => {
    const zeros = new Uint8Array(1 << 20);
    expect(equalBytes(decompressBlock(stored(zeros, 'snappy')), zeros)).toBe(true);
  });

  it('is not memory that others have', () => {
    const { bytes } = compressBlock(orders, 'snappy');
    expect(Buffer.isBuffer(bytes)).toBe(false);
    const contents = decompressBlock(concatBytes(bytes, Uint8Array.of(1)));
    expect(Buffer.isBuffer(contents)).toBe(false);
    expect(contents.buffer.byteLength).toBe(contents.length);
  });

  it('is refused when its bytes are not of this form', () => {
    const compressed = compressBlock(orders, 'snappy').bytes;
    const refused: Uint8Array[] = [
      new Uint8Array(0),
      Uint8Array.of(1),
      concatBytes(orders, Uint8Array.of(2)),
      concatBytes(compressed.subarray(0, -1), Uint8Array.of(1)),
      concatBytes(compressed, Uint8Array.of(0, 1)),
      concatBytes(Uint8Array.of(compressed[0] ^ 1), compressed.subarray(1), Uint8Array.of(1)),
    ];
    for (const bytes of refused) expect(() => decompressBlock(bytes)).toThrow(DecodeError);
  });

  it('is refused before it takes the memory that it claims', () => {
    for (const claimed of [100_000, 2 ** 31, 2 ** 32 - 1, 2 ** 50]) {
      const header = new ByteWriter().varint(claimed).finish();
      const lie = concatBytes(header, utf8('a few bytes'), Uint8Array.of(1));
      const before = process.memoryUsage().arrayBuffers;
      expect(() => decompressBlock(lie)).toThrow(/cannot stand for/);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000);
    }
  });
});
