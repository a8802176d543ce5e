/** `SnapshotTraffic` of admin.proto, which nodes send each other, too. */
import type { SnapshotTraffic } from './backend.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

export const noSnapshots: SnapshotTraffic = { sentBytes: 0, receivedBytes: 0, installed: 0 };

export function writeSnapshotTraffic(writer: WireWriter, field: number, traffic: SnapshotTraffic): void {
  const mark = writer.begin(field);
  writer.uint(1, traffic.sentBytes);
  writer.uint(2, traffic.receivedBytes);
  writer.uint(3, traffic.installed);
  writer.end(mark);
}

export function readSnapshotTraffic(reader: WireReader): SnapshotTraffic {
  const [sentBytes, receivedBytes, installed] = reader.uints(3);
  return { sentBytes, receivedBytes, installed };
}
