/** `ShardEpoch` of proto/admin.proto. */
import type { ShardEpoch } from '../shard/descriptor.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

export const zeroEpoch: ShardEpoch = { membership: 0, range: 0 };

/** As the nested message `field`. */
export function writeEpoch(writer: WireWriter, field: number, epoch: ShardEpoch): void {
  const mark = writer.begin(field);
  writer.uint(1, epoch.membership);
  writer.uint(2, epoch.range);
  writer.end(mark);
}

export function readEpoch(reader: WireReader): ShardEpoch {
  const [membership, range] = reader.uints(2);
  return { membership, range };
}
