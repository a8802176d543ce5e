/** `RequestId` of proto/kv.proto. */
import { emptyBytes } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import type { RequestId } from '../mvcc/operations.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

const sessionBytes = 16;

/** What stands in for a request id that the message does not have: a new one, or an error. */
export type MissingRequestId = () => RequestId;

/** For messages in which every write has a request id. */
export const requireRequestId: MissingRequestId = () => {
  throw new DecodeError('a write without a request id');
};

export function writeRequestId(writer: WireWriter, number: number, { session, seq }: RequestId): void {
  const mark = writer.begin(number);
  writer.bytes(1, session);
  writer.uint(2, seq);
  writer.end(mark);
}

export function readRequestId(reader: WireReader): RequestId {
  let session = emptyBytes;
  let seq = 0;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        session = reader.ownedBytes();
        break;
      case 2:
        seq = reader.uint();
        break;
      default:
        reader.skip();
    }
  }
  if (session.length !== sessionBytes) {
    throw new DecodeError(`the session of a request id has ${sessionBytes} bytes, not ${session.length}`);
  }
  return { session, seq };
}
