import { ByteReader, DecodeError } from '../base/coding.js';
import { Timestamp } from '../base/ids.js';
import { checkDataKey } from './keyspace.js';
import { effectBytesMin, effectKind, writeBatchFormat } from './write-batch-format.js';

/** Where effects go: a batch of the tree, or a test's list. */
export interface EffectSink {
  put(key: Uint8Array, version: Timestamp, value: Uint8Array): unknown;
  delete(key: Uint8Array, version: Timestamp): unknown;
}

/**
 * Hands the effects of an entry to `sink`, in order, as views of `bytes`, and returns the highest version, 0 when
 * there is no effect. Throws a DecodeError where the bytes are not a write batch; `sink` may then have got a part.
 */
export function decodeWriteBatch(bytes: Uint8Array, sink: EffectSink): Timestamp {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== writeBatchFormat) throw new DecodeError(`a write batch of the unknown format ${format}`);
  const count = reader.varint();
  if (count > reader.remaining / effectBytesMin) throw new DecodeError(`${count} effects in ${bytes.length} bytes`);
  const maxVersion = count === 0 ? 0 : reader.varint();
  let maxVersionMet = count === 0;
  for (let i = 0; i < count; i++) {
    const kind = reader.u8();
    const below = reader.varint();
    if (below >= maxVersion) throw new DecodeError('an effect without a version');
    if (below === 0) maxVersionMet = true;
    const version = Timestamp(maxVersion - below);
    const key = reader.bytes();
    checkDataKey(key);
    if (kind === effectKind.put) sink.put(key, version, reader.bytes());
    else if (kind === effectKind.delete) sink.delete(key, version);
    else throw new DecodeError(`an effect of the unknown kind ${kind}`);
  }
  reader.end();
  if (!maxVersionMet) throw new DecodeError('no effect has the highest version');
  return Timestamp(maxVersion);
}
