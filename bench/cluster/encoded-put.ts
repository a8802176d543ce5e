/** Puts that are encoded once and sent often, with another value each time: cheaper than encoding each. */
import { WireWriter } from '../../src/rpc/wire-writer.js';
import { valueOf } from './keys.js';

/** An `Operation` of proto/kv.proto; its last bytes are the value. Without a request id: the node draws one. */
export function encodedPut(key: Uint8Array, value: Uint8Array): Uint8Array {
  const writer = new WireWriter(value.length + 64);
  const mark = writer.begin(2);
  writer.bytes(1, key);
  writer.bytes(2, value);
  writer.end(mark);
  return writer.finish();
}

/** Writes the `n`-th value over the one that `put`, encoded by {@link encodedPut}, has. */
export function renewValue(put: Uint8Array, valueBytes: number, n: number): void {
  put.set(valueOf(valueBytes, n), put.length - valueBytes);
}
