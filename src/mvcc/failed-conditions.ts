/** Which conditions of an atomic batch failed: what is stored beside the record of its request (docs/formats/keyspace.md). */
import { DecodeError, getU32, getU53, putU32, putU53 } from '../base/coding.js';
import { Timestamp } from '../base/ids.js';

export interface RecordedFailure {
  /** Of the operation in its batch. */
  readonly index: number;
  /** The version of the value that its condition met; 0 when the key was absent. */
  readonly metVersion: Timestamp;
}

/** Index and version. */
const failureBytes = 12;

/** In the order of their indexes. */
export function encodeFailures(failures: readonly RecordedFailure[]): Uint8Array {
  const bytes = new Uint8Array(failures.length * failureBytes);
  failures.forEach(({ index, metVersion }, i) => {
    putU32(bytes, i * failureBytes, index);
    putU53(bytes, i * failureBytes + 4, metVersion);
  });
  return bytes;
}

/** Throws a DecodeError where the bytes are not that. */
export function decodeFailures(bytes: Uint8Array): RecordedFailure[] {
  const count = bytes.length / failureBytes;
  if (count === 0 || !Number.isInteger(count)) throw new DecodeError(`failed conditions of ${bytes.length} bytes`);
  const failures: RecordedFailure[] = [];
  let next = 0;
  for (let at = 0; at < bytes.length; at += failureBytes) {
    const index = getU32(bytes, at);
    if (index < next) throw new DecodeError(`failed conditions out of order: ${index} after ${next - 1}`);
    failures.push({ index, metVersion: Timestamp(getU53(bytes, at + 4)) });
    next = index + 1;
  }
  return failures;
}
