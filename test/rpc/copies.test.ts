import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copyOfPart } from '../../src/rpc/copies.js';

const lengths = fc.oneof(
  fc.integer({ min: 0, max: 70 }),
  fc.integer({ min: 1900, max: 2100 }),
  fc.constantFrom(16_000, 40_000),
);

test('copies are what was copied, whatever becomes of the source and of other copies', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(lengths, fc.nat(9)), { minLength: 1, maxLength: 60 }), (parts) => {
      const copies = parts.map(([length, start], i) => {
        const source = Buffer.alloc(start + length + 3, 0xee).fill(i + 1, start, start + length);
        const copy = copyOfPart(source, start, start + length);
        source.fill(0xff);
        return copy;
      });
      copies.forEach((copy, i) => {
        expect(copy.length).toBe(parts[i][0]);
        expect(copy.every((byte) => byte === i + 1)).toBe(true);
        copy.fill(0xdd);
      });
    }),
  );
});

test('a part of a part is found where it lies', () => {
  const whole = Buffer.from('0123456789'.repeat(20));
  const part = whole.subarray(10, 190);
  expect(Buffer.from(copyOfPart(part, 5, 15)).toString()).toBe('5678901234');
  expect(Buffer.from(copyOfPart(part, 5, 105)).toString()).toBe('5678901234'.repeat(10));
});

test('who gives a copy to another thread takes no other one along', () => {
  const whole = Buffer.from('0123456789'.repeat(20));
  const [given, kept] = [copyOfPart(whole, 0, 100), copyOfPart(whole, 100, 200)];
  expect(kept.buffer, 'they share memory').toBe(given.buffer);
  const { port1, port2 } = new MessageChannel();
  try {
    // Node 20 and 22 copy what is not to be transferred, later ones refuse it.
    port1.postMessage(given, [given.buffer as ArrayBuffer]);
  } catch (error) {
    expect(error).toMatchObject({ name: 'DataCloneError' });
  } finally {
    port1.close();
    port2.close();
  }
  expect(Buffer.from(kept).toString()).toBe('0123456789'.repeat(10));
});
