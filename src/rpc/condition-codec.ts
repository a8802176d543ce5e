/** `Condition` of proto/kv.proto. Decoded byte strings are copies. */
import { unreachable } from '../base/assert.js';
import type { Condition } from '../mvcc/operations.js';
import { decodeTimestamp, required } from './decode-ids.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** Nothing for no condition. */
export function writeCondition(writer: WireWriter, number: number, condition: Condition): void {
  if (condition.type === 'none') return;
  const mark = writer.begin(number);
  switch (condition.type) {
    case 'absent':
      writer.emptyMessage(1);
      break;
    case 'versionEquals':
      writer.presentUint(2, condition.version);
      break;
    case 'valueEquals':
      writer.presentBytes(3, condition.value);
      break;
    default:
      unreachable(condition);
  }
  writer.end(mark);
}

/** A condition of a kind that this release does not know must not become an unconditional write. */
export function readCondition(reader: WireReader): Condition {
  let condition: Condition | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        reader.skip();
        condition = { type: 'absent' };
        break;
      case 2:
        condition = { type: 'versionEquals', version: decodeTimestamp(reader.uint()) };
        break;
      case 3:
        condition = { type: 'valueEquals', value: reader.ownedBytes() };
        break;
      default:
        reader.skip();
    }
  }
  return required(condition, 'the kind of a condition');
}
