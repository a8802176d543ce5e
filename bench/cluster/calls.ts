/** The calls in the words of each system, as protobuf. */
import { WireWriter } from '../../src/rpc/wire-writer.js';
import type { UnaryCall, UnaryCalls } from './system.js';

function call(path: string, write: (writer: WireWriter) => void): UnaryCall {
  const writer = new WireWriter();
  write(writer);
  return { path, message: writer.finish() };
}

/** proto/kv.proto. Writes without request ids: the node draws them. */
export const quorateCalls: UnaryCalls = {
  put: (key, value) =>
    call('/quorate.v1.Kv/Put', (writer) => {
      writer.bytes(1, key);
      writer.bytes(2, value);
    }),
  get: (key) => call('/quorate.v1.Kv/Get', (writer) => writer.bytes(1, key)),
  batch: (puts) =>
    call('/quorate.v1.Kv/AtomicBatch', (writer) => {
      for (const { key, value } of puts) {
        const operation = writer.begin(1);
        writer.bytes(1, key);
        writer.presentBytes(3, value);
        writer.end(operation);
      }
    }),
};

/** etcd's rpc.proto: `Put`, `Range` of one key, and `Txn` with puts in its `success` list. */
export const etcdCalls: UnaryCalls = {
  put: (key, value) =>
    call('/etcdserverpb.KV/Put', (writer) => {
      writer.bytes(1, key);
      writer.bytes(2, value);
    }),
  get: (key) => call('/etcdserverpb.KV/Range', (writer) => writer.bytes(1, key)),
  batch: (puts) =>
    call('/etcdserverpb.KV/Txn', (writer) => {
      for (const { key, value } of puts) {
        const operation = writer.begin(2);
        const put = writer.begin(2);
        writer.bytes(1, key);
        writer.bytes(2, value);
        writer.end(put);
        writer.end(operation);
      }
    }),
};
