/** `Record` of proto/kv.proto. Decoded byte strings are copies. */
import { emptyBytes } from '../base/bytes.js';
import { Timestamp } from '../base/ids.js';
import type { ScanRecord } from './backend.js';
import { decodeTimestamp } from './decode-ids.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** Each as the nested message `field`. */
export function writeRecords(writer: WireWriter, field: number, records: readonly ScanRecord[]): void {
  for (const { key, version, value } of records) {
    const mark = writer.begin(field);
    writer.bytes(1, key);
    writer.uint(2, version);
    writer.bytes(3, value);
    writer.end(mark);
  }
}

export function readRecord(reader: WireReader): ScanRecord {
  let key = emptyBytes;
  let version = Timestamp(0);
  let value = emptyBytes;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        key = reader.ownedBytes();
        break;
      case 2:
        version = decodeTimestamp(reader.uint());
        break;
      case 3:
        value = reader.ownedBytes();
        break;
      default:
        reader.skip();
    }
  }
  return { key, version, value };
}
