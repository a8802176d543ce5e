import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { equalBytes, toHex, utf8 } from '../../../src/base/bytes.js';
import { CorruptionError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import type { Compression } from '../../../src/lsm/sstable/compression.js';
import { OpenFiles } from '../../../src/lsm/sstable/open-files.js';
import { decodeValuePointer, encodeValuePointer, type ValuePointer } from '../../../src/lsm/value/value-file-format.js';
import { ValueFileReader } from '../../../src/lsm/value/value-file-reader.js';
import { ValueFileWriter } from '../../../src/lsm/value/value-file-writer.js';
import { newDisk, text } from '../harness.js';

const path = '000009.val';

interface Written {
  readonly reader: ValueFileReader;
  readonly pointers: readonly ValuePointer[];
}

async function writeValues(
  disk: SimDisk,
  values: readonly Uint8Array[],
  compression: Compression = 'none',
): Promise<Written> {
  const writer = await ValueFileWriter.create(disk, path, 9);
  const pointers: ValuePointer[] = [];
  for (const value of values) {
    pointers.push(writer.add(value, compression));
    if (writer.isFull) await writer.flush();
  }
  const metadata = await writer.finish();
  return { reader: new ValueFileReader(path, metadata, { disk, openFiles: new OpenFiles(4) }), pointers };
}

/** The bytes of a page's example: of each line of it what comes before two spaces. */
function exampleOf(page: string): string {
  const lines = /```hex\n([^`]*)```/.exec(page)?.[1].split('\n') ?? [];
  return lines.map((line) => line.split('  ')[0].replaceAll(' ', '')).join('');
}

describe('a value file', () => {
  it('gives each value by its pointer, compressed or not, and checks as a whole', async () => {
    const random = new Prng(1);
    for (const compression of ['none', 'snappy'] as const) {
      const values = Array.from({ length: 40 }, (_, n) =>
        n % 2 === 0 ? random.bytes(n * 997) : new Uint8Array(n * 1009).fill(n),
      );
      const { reader, pointers } = await writeValues(newDisk(), values, compression);
      for (const [n, pointer] of pointers.entries()) {
        const decoded = decodeValuePointer(encodeValuePointer(pointer));
        expect(decoded).toEqual(pointer);
        expect(equalBytes(await reader.readAlone(decoded), values[n])).toBe(true);
      }
      await reader.verify();
    }
  });

  it('takes values of another file as they are stored', async () => {
    const disk = newDisk();
    const { reader, pointers } = await writeValues(disk, [new Uint8Array(5000).fill(7), utf8('b')], 'snappy');
    const writer = await ValueFileWriter.create(disk, '000010.val', 10);
    const moved = writer.addStored(await reader.storedValue(pointers[0]), pointers[0]);
    const metadata = await writer.finish();
    const copy = new ValueFileReader('000010.val', metadata, { disk, openFiles: new OpenFiles(4) });
    expect(await copy.readAlone(moved)).toEqual(new Uint8Array(5000).fill(7));
    expect(moved).toMatchObject({ file: 10, length: pointers[0].length, valueBytes: 5000 });
    await copy.verify();
  });

  it('gives what is stored at once where the disk may be read at once', async () => {
    const { reader, pointers } = await writeValues(newDisk(), [utf8('a'), utf8('b')]);
    await reader.storedValue(pointers[0]);
    const stored = Array.from({ length: 40 }, () => reader.storedValue(pointers[1]));
    expect(stored.some((block) => block instanceof Promise)).toBe(true);
    expect(stored.some((block) => !(block instanceof Promise))).toBe(true);
    for (const block of stored) expect(await block).toEqual(new Uint8Array([98, 0]));
    const wrong = { ...pointers[1], checksum: pointers[0].checksum };
    await expect(Promise.resolve(reader.storedValue(wrong))).rejects.toThrow('does not match its checksum');
    await reader.close();
  });

  it('is checked in large pieces, whatever the sizes of its values', async () => {
    const disk = newDisk();
    const random = new Prng(5);
    const sizes = [0, 1, 130_000, 262_000, 262_135, 262_136, 262_137, 700_000, ...Array<number>(3000).fill(300)];
    const { reader } = await writeValues(
      disk,
      sizes.map((bytes) => random.bytes(bytes)),
    );
    let reads = 0;
    disk.fault = (operation) => {
      if (operation === 'read') reads++;
      return undefined;
    };
    await reader.verify();
    expect(reads).toBeGreaterThan(5);
    expect(reads).toBeLessThan(20);
    disk.fault = undefined;
    await reader.close();
  });

  it('has pointers that are right or not, by the head of a record and what says how long it is', async () => {
    const values = [utf8('red'), new Uint8Array(5000), new Prng(1).bytes(5000), new Uint8Array(1)];
    const { reader, pointers } = await writeValues(newDisk(), values, 'snappy');
    for (const pointer of pointers) {
      await reader.verifyPointer(pointer);
      const { valueBytes } = pointer;
      await expect(reader.verifyPointer({ ...pointer, valueBytes: valueBytes + 1 })).rejects.toThrow(CorruptionError);
    }
    await reader.close();
  });

  it('is what its page says', async () => {
    const disk = newDisk();
    const { pointers } = await writeValues(disk, [utf8('red'), new Uint8Array(64)], 'snappy');
    const hex = toHex(disk.content(path)) + toHex(encodeValuePointer(pointers[1]));
    await expect(`${(hex.match(/.{1,64}/g) ?? []).join('\n')}\n`).toMatchFileSnapshot('golden/value-file.hex');
    expect(exampleOf(readFileSync('docs/formats/value-file.md', 'utf8'))).toBe(hex);
  });

  it('finds every changed byte, and every end that comes early', async () => {
    const disk = newDisk();
    const { reader, pointers } = await writeValues(disk, [utf8('red'), utf8('green'), new Uint8Array(64)], 'snappy');
    const whole = disk.content(path);
    const read = async (bytes: Uint8Array): Promise<void> => {
      const damaged = newDisk();
      const file = await damaged.open(path, 'create');
      await file.write(bytes, 0);
      const other = new ValueFileReader(path, reader.metadata, { disk: damaged, openFiles: new OpenFiles(4) });
      for (const pointer of pointers) {
        const value = await Promise.resolve(other.readAlone(pointer)).catch((error: unknown) => {
          expect(error).toBeInstanceOf(CorruptionError);
        });
        if (value !== undefined) expect(value).toEqual(await reader.readAlone(pointer));
      }
      await expect(other.verify()).rejects.toThrow(CorruptionError);
    };
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at] ^= 0x10;
      await read(changed);
      await read(whole.slice(0, at));
    }
  });

  it('refuses pointers out of it, and to be empty', async () => {
    const { reader, pointers } = await writeValues(newDisk(), [utf8('red')]);
    const outside = [{ offset: 0 }, { offset: reader.metadata.bytes - 4 }, { length: 1000 }];
    for (const change of outside) {
      await expect(Promise.resolve(reader.readAlone({ ...pointers[0], ...change }))).rejects.toThrow(
        'outside of the values',
      );
    }
    await expect(Promise.resolve(reader.readAlone({ ...pointers[0], valueBytes: 4 }))).rejects.toThrow(
      '3 bytes, not 4',
    );
    expect(text(await reader.readAlone(pointers[0]))).toBe('red');
    await reader.verifyPointer(pointers[0]);
    const wrong = [...outside, { offset: pointers[0].offset + 1 }, { length: 3 }, { checksum: 7 }, { valueBytes: 4 }];
    for (const change of wrong) {
      await expect(reader.verifyPointer({ ...pointers[0], ...change }), JSON.stringify(change)).rejects.toThrow(
        CorruptionError,
      );
    }
    const writer = await ValueFileWriter.create(newDisk(), path, 9);
    await expect(writer.finish()).rejects.toThrow('at least one value');
    await writer.abandon();
  });
});
