import { assert } from '../base/assert.js';
import { ByteWriter } from '../base/coding.js';
import { checkDataKey } from './keyspace.js';
import { effectKind, writeBatchFormat, type Effect } from './write-batch-format.js';

/**
 * The entry that carries these effects, in this order. Never empty, even without effects: empty entries belong to
 * Raft. No two effects may have the same key and version.
 */
export function encodeWriteBatch(effects: readonly Effect[]): Uint8Array {
  let bytes = 16;
  let maxVersion = 0;
  for (const effect of effects) {
    bytes += 24 + effect.key.length + (effect.type === 'put' ? effect.value.length : 0);
    if (effect.version > maxVersion) maxVersion = effect.version;
  }
  const writer = new ByteWriter(bytes);
  writer.u8(writeBatchFormat).varint(effects.length);
  if (effects.length > 0) writer.varint(maxVersion);
  for (const effect of effects) {
    assert(effect.version > 0, 'an effect without a version');
    checkDataKey(effect.key);
    writer
      .u8(effectKind[effect.type])
      .varint(maxVersion - effect.version)
      .bytes(effect.key);
    if (effect.type === 'put') writer.bytes(effect.value);
  }
  return writer.view();
}
