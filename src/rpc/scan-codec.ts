/** `ScanRequest` and `ScanPage` of proto/kv.proto. Decoded byte strings are copies. */
import { emptyBytes } from '../base/bytes.js';
import type { Timestamp } from '../base/ids.js';
import type { ScanPage, ScanRecord } from './backend.js';
import { decodeTimestamp } from './decode-ids.js';
import { consistencyNumber, consistencyOf, type Consistency } from './enums.js';
import { readRecord, writeRecords } from './record-codec.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

/** A scan as a client asks for it. */
export interface ScanQuery {
  readonly start: Uint8Array;
  /** Exclusive; empty is the end of the key space. */
  readonly end: Uint8Array;
  /** Empty is no restriction. */
  readonly prefix: Uint8Array;
  readonly reverse: boolean;
  readonly keysOnly: boolean;
  /** 0 is all. */
  readonly limit: number;
  /** 0 is the node's limit. */
  readonly pageBytes: number;
  readonly consistency: Consistency;
  /** 0 is now. */
  readonly readTs: Timestamp;
  /** How long the caller waits for a page; 0 is up to the deadline, or the node's default without one. */
  readonly pageTimeoutMs: number;
}

export function encodeScanRequest(query: ScanQuery): Buffer {
  const writer = new WireWriter();
  writer.bytes(1, query.start);
  writer.bytes(2, query.end);
  writer.bytes(3, query.prefix);
  writer.bool(4, query.reverse);
  writer.bool(5, query.keysOnly);
  writer.uint(6, query.limit);
  writer.uint(7, query.pageBytes);
  writer.uint(8, consistencyNumber(query.consistency));
  writer.uint(9, query.readTs);
  writer.uint(10, query.pageTimeoutMs);
  return writer.finish();
}

/** Throws DecodeError. Numbers may be negative. */
export function decodeScanRequest(bytes: Uint8Array): ScanQuery {
  let start = emptyBytes;
  let end = emptyBytes;
  let prefix = emptyBytes;
  let reverse = false;
  let keysOnly = false;
  let limit = 0;
  let pageBytes = 0;
  let consistency: Consistency = 'linearizable';
  let readTs = 0;
  let pageTimeoutMs = 0;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        start = reader.ownedBytes();
        break;
      case 2:
        end = reader.ownedBytes();
        break;
      case 3:
        prefix = reader.ownedBytes();
        break;
      case 4:
        reverse = reader.bool();
        break;
      case 5:
        keysOnly = reader.bool();
        break;
      case 6:
        limit = reader.int();
        break;
      case 7:
        pageBytes = reader.int();
        break;
      case 8:
        consistency = consistencyOf(reader.enumNumber());
        break;
      case 9:
        readTs = reader.uint();
        break;
      case 10:
        pageTimeoutMs = reader.int();
        break;
      default:
        reader.skip();
    }
  }
  const range = { start, end, prefix, reverse, keysOnly, limit };
  return { ...range, pageBytes, consistency, readTs: decodeTimestamp(readTs), pageTimeoutMs };
}

export function encodeScanPage(page: ScanPage): Buffer {
  const writer = new WireWriter(4096);
  writeRecords(writer, 1, page.records);
  writer.uint(2, page.readTs);
  return writer.finish();
}

/** Throws DecodeError. */
export function decodeScanPage(bytes: Uint8Array): ScanPage {
  const records: ScanRecord[] = [];
  let readTs = 0;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        records.push(readRecord(reader.message()));
        break;
      case 2:
        readTs = reader.uint();
        break;
      default:
        reader.skip();
    }
  }
  return { records, readTs: decodeTimestamp(readTs) };
}
