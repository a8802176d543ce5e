import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.js';
import { maskedCrc32 } from '../../src/base/checksum.js';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import {
  batchHeaderAt,
  batchHeaderBytes,
  decodeSegmentHeader,
  encodeSegmentHeader,
  newestBatchHeader,
  proofOffset,
  recordHeaderBytes,
  segmentHeaderBytes,
  segmentName,
  segmentOfName,
} from '../../src/log/segment-format.js';
import { readBatch, readRecord } from '../../src/log/segment-reader.js';
import { BatchEncoder, encodeProof } from '../../src/log/segment-writer.js';
import { entries, hardState } from './support.js';

const place = { segment: 2, offset: segmentHeaderBytes, sequence: 9 };

function encodeBatch(): Uint8Array {
  const encoder = new BatchEncoder();
  encoder.begin(place);
  encoder.entries('entries', ShardId(5), entries(300, 2, 4, 3));
  encoder.truncation({ type: 'truncatePrefix', shard: ShardId(5), index: LogIndex(299), term: Term(3) });
  encoder.firstSegment(2);
  encoder.hardState(ShardId(5), hardState(4, 1, 299));
  return encoder.finish().slice();
}

/** A segment of zeros with these parts. */
function segmentOf(...parts: readonly (readonly [offset: number, bytes: Uint8Array])[]): Uint8Array {
  const bytes = new Uint8Array(16_384);
  for (const [offset, part] of parts) bytes.set(part, offset);
  return bytes;
}

test('names of segments', () => {
  expect(segmentName(7)).toBe('0000000007.log');
  expect(segmentOfName('0000000007.log')).toBe(7);
  expect(segmentOfName('12345678901.log')).toBe(12_345_678_901);
  for (const name of ['7.log', '0000000000.log', '00000000007.log', '0000000007.log.new', '000000000a.log']) {
    expect(segmentOfName(name)).toBeUndefined();
  }
});

describe('bytes, as docs/formats/log.md has them', () => {
  const hex = (bytes: Uint8Array, ...lengths: readonly number[]): string[] => {
    let at = 0;
    return lengths.map((length) => toHex(bytes.subarray(at, (at += length))));
  };

  test('segment header', () => {
    const header = encodeSegmentHeader({ segment: 2, firstBatch: 9 });
    expect(hex(header, 4, 4, 4, 4, 8, 8)).toMatchInlineSnapshot(`
      [
        "b3f8c870",
        "514c5347",
        "01000000",
        "00000000",
        "0200000000000000",
        "0900000000000000",
      ]
    `);
    expect(decodeSegmentHeader(header)).toEqual({ segment: 2, firstBatch: 9 });
  });

  test('segment header of another format, whole as it is', () => {
    const header = encodeSegmentHeader({ segment: 2, firstBatch: 9 });
    const view = new DataView(header.buffer, header.byteOffset);
    const version = view.getUint32(8, true) + 1;
    view.setUint32(8, version, true);
    view.setUint32(0, maskedCrc32(header.subarray(4)), true);
    expect(() => decodeSegmentHeader(header)).toThrow(`log format ${version} is unknown`);
  });

  test('proof', () => {
    const proof = encodeProof({ segment: 2, offset: 4096, sequence: 10 });
    expect(hex(proof, 4, 4, 8, 8, 8, 4)).toMatchInlineSnapshot(`
      [
        "93e722c3",
        "514c4254",
        "0200000000000000",
        "0010000000000000",
        "0a00000000000000",
        "00000000",
      ]
    `);
  });

  test('batch', () => {
    const bytes = encodeBatch();
    expect(hex(bytes, 4, 4, 8, 8, 8, 4)).toMatchInlineSnapshot(`
      [
        "002eb80f",
        "514c4254",
        "0200000000000000",
        "2000000000000000",
        "0900000000000000",
        "7c000000",
      ]
    `);
    const records = bytes.subarray(batchHeaderBytes);
    expect(hex(records, 4, 4, 8, 8, 15)).toMatchInlineSnapshot(`
      [
        "93c118e5",
        "0f000000",
        "0200000000000000",
        "4400000000000000",
        "0105ac0202040338383804033f3f3f",
      ]
    `);
    expect(hex(records.subarray(39), 4, 4, 8, 8, 5)).toMatchInlineSnapshot(`
      [
        "af53c619",
        "05000000",
        "0200000000000000",
        "6b00000000000000",
        "0305ab0203",
      ]
    `);
    expect(hex(records.subarray(39 + 29), 4, 4, 8, 8, 2)).toMatchInlineSnapshot(`
      [
        "13e3009f",
        "02000000",
        "0200000000000000",
        "8800000000000000",
        "0402",
      ]
    `);
    expect(hex(records.subarray(39 + 29 + 26), 4, 4, 8, 8, 6)).toMatchInlineSnapshot(`
      [
        "b45d86ff",
        "06000000",
        "0200000000000000",
        "a200000000000000",
        "02050401ab02",
      ]
    `);
  });
});

test('a batch is read as it was written', () => {
  const batch = encodeBatch();
  const found = readBatch(segmentOf([place.offset, batch]), place);
  expect(found).toMatchObject({
    type: 'batch',
    end: place.offset + batch.length,
    records: [
      { record: { type: 'entries', shard: 5, entries: entries(300, 2, 4, 3) } },
      { record: { type: 'truncatePrefix', shard: 5, index: 299, term: 3 } },
      { record: { type: 'firstSegment', segment: 2 } },
      { record: { type: 'hardState', shard: 5, hardState: { term: 4, vote: 1, commit: 299 } } },
    ],
  });
  if (found.type !== 'batch') return;
  const { record, place: at } = found.records[0];
  const window = segmentOf([place.offset, batch]).subarray(at.offset - 10, at.offset + at.bytes);
  expect(readRecord(window, { ...at, windowOffset: at.offset - 10 }).record).toEqual(record);
});

test('rewritten entries differ from entries by their type alone', () => {
  const [written, rewritten] = (['entries', 'rewritten'] as const).map((type) => {
    const encoder = new BatchEncoder();
    encoder.begin(place);
    encoder.entries(type, ShardId(5), entries(300, 2, 4, 3));
    return encoder.finish().slice();
  });
  const body = batchHeaderBytes + recordHeaderBytes;
  expect([written[body], rewritten[body]]).toEqual([1, 6]);
  expect(rewritten.subarray(body + 1)).toEqual(written.subarray(body + 1));
  expect(readBatch(segmentOf([place.offset, rewritten]), place)).toMatchObject({
    records: [{ record: { type: 'rewritten', shard: 5, entries: entries(300, 2, 4, 3) } }],
  });
});

test('a batch counts only at its own place', () => {
  const batch = encodeBatch();
  expect(readBatch(segmentOf([place.offset + 4, batch]), { ...place, offset: place.offset + 4 }).type).toBe('invalid');
  expect(readBatch(segmentOf([place.offset, batch]), { ...place, segment: 3 }).type).toBe('invalid');
  expect(readBatch(segmentOf([place.offset, batch]), { ...place, sequence: 10 }).type).toBe('invalid');
});

test('a damaged batch is searched for proof behind it only, a missing one from where it should begin', () => {
  const batch = encodeBatch();
  const end = place.offset + batch.length;
  batch[batch.length - 1] ^= 1;
  expect(readBatch(segmentOf([place.offset, batch]), place)).toMatchObject({ type: 'invalid', resumeAt: end });
  expect(readBatch(segmentOf(), place)).toMatchObject({ type: 'invalid', resumeAt: place.offset });
});

test('the newest batch header is found wherever it lies', () => {
  const proof = (offset: number, sequence: number): readonly [number, Uint8Array] => [
    offset,
    encodeProof({ segment: 2, offset, sequence }),
  ];
  const bytes = segmentOf(proof(4096, 4), proof(5001, 7), proof(9000, 5));
  expect(newestBatchHeader(bytes, 0, 2)).toMatchObject({ offset: 5001, sequence: 7 });
  expect(newestBatchHeader(bytes, 5002, 2)).toMatchObject({ offset: 9000, sequence: 5 });
  expect(newestBatchHeader(bytes, 0, 3)).toBeUndefined();
  expect(newestBatchHeader(bytes, 9001, 2)).toBeUndefined();
  expect(batchHeaderAt(bytes, bytes.length - 8, 2)).toBeUndefined();
});

test('a proof lies in another block than what it proves', () => {
  expect([32, 4095, 4096, 4097].map(proofOffset)).toEqual([4096, 4096, 4096, 8192]);
});
