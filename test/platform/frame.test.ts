import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, toHex, utf8 } from '../../src/base/bytes.js';
import { putU32 } from '../../src/base/coding.js';
import { FrameError, FrameReader, frameHeaderBytes, writeFrameHeader } from '../../src/platform/frame.js';

function encode(...payloads: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    ...payloads.flatMap((payload) => {
      const header = new Uint8Array(frameHeaderBytes);
      writeFrameHeader(header, 0, payload);
      return [header, payload];
    }),
  );
}

function readAll(chunks: readonly Uint8Array[], payloadBytesMax = 1000): Uint8Array[] {
  const reader = new FrameReader(payloadBytesMax);
  const payloads: Uint8Array[] = [];
  for (const chunk of chunks) reader.push(chunk, (payload) => payloads.push(payload) > 0);
  return payloads;
}

describe('frames', () => {
  test('have the documented bytes', () => {
    expect(toHex(encode(utf8('quorate')))).toMatchInlineSnapshot(`"07000000fe9bb56771756f72617465"`);
    expect(toHex(encode(utf8('')))).toMatchInlineSnapshot(`"00000000612dbb60"`);
  });

  test('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 40 }),
        (payloads, cuts) => {
          const stream = encode(...payloads);
          const chunks: Uint8Array[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = at + cuts[i % cuts.length];
            chunks.push(stream.slice(at, end));
            at = end;
          }
          expect(readAll(chunks)).toEqual(payloads);
        },
      ),
      { seed: 1 },
    );
  });

  test('a changed byte is never taken for a frame', () => {
    const payload = utf8('some payload');
    for (let at = 0; at < frameHeaderBytes + payload.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const stream = encode(payload, payload);
        stream[at] ^= mask;
        // Either it is refused at once, or the reader waits for the rest of a frame that seems longer.
        try {
          expect(readAll([stream])).toEqual([]);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }
    }
  });

  test('the limit is exact, known before the payload is there, and named', () => {
    const limit = 100;
    expect(readAll([encode(new Uint8Array(limit))], limit)).toEqual([new Uint8Array(limit)]);
    const header = new Uint8Array(frameHeaderBytes);
    putU32(header, 0, limit + 1);
    expect(() => readAll([header], limit)).toThrow(/a frame of 101 bytes.*limit peerFrameBytesMax of 100/);
  });

  test('the first frame has a limit of its own', () => {
    const reader = new FrameReader(100, 10);
    const seen: number[] = [];
    const onFrame = ({ length }: Uint8Array): boolean => seen.push(length) > 0;
    reader.push(encode(new Uint8Array(10), new Uint8Array(100)), onFrame);
    expect(seen).toEqual([10, 100]);
    const header = new Uint8Array(frameHeaderBytes);
    putU32(header, 0, 11);
    expect(() => new FrameReader(100, 10).push(header, onFrame)).toThrow('more than the 10 of a greeting');
  });

  test.each(['GET / HTTP/1.1\r\n\r\n', '\0'.repeat(64), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'])(
    'what another protocol says is refused: %j',
    (text) => {
      expect(() => readAll([utf8(text)])).toThrow('does not speak this protocol');
    },
  );

  test('stops handing out when it is told to', () => {
    const reader = new FrameReader(10);
    const seen: Uint8Array[] = [];
    reader.push(encode(utf8('a'), utf8('b')), (payload) => {
      seen.push(payload);
      return false;
    });
    expect(seen).toEqual([utf8('a')]);
  });
});
