/**
 * The methods of proto/kv.proto and proto/admin.proto as grpc-js wants them. gRPC carries bytes here; handlers and
 * client code them by themselves, so that a request that breaks a rule gets our error and not grpc-js's.
 */
import type { MethodDefinition } from '@grpc/grpc-js';

export type BytesMethod = MethodDefinition<Buffer, Buffer>;

interface Streams {
  readonly requestStream?: boolean;
  readonly responseStream?: boolean;
}

const same = (bytes: Buffer): Buffer => bytes;

function method(path: string, { requestStream = false, responseStream = false }: Streams = {}): BytesMethod {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

export const kvServiceName = 'quorate.v1.Kv';
export const adminServiceName = 'quorate.v1.Admin';

export const kvMethods = {
  Get: method(`/${kvServiceName}/Get`),
  Put: method(`/${kvServiceName}/Put`),
  Delete: method(`/${kvServiceName}/Delete`),
  Scan: method(`/${kvServiceName}/Scan`, { responseStream: true }),
  AtomicBatch: method(`/${kvServiceName}/AtomicBatch`),
  Batch: method(`/${kvServiceName}/Batch`),
  Stream: method(`/${kvServiceName}/Stream`, { requestStream: true, responseStream: true }),
};

export const adminMethods = {
  Status: method(`/${adminServiceName}/Status`),
  ShardMap: method(`/${adminServiceName}/ShardMap`),
  ChangeReplicas: method(`/${adminServiceName}/ChangeReplicas`),
  ReplaceNode: method(`/${adminServiceName}/ReplaceNode`),
  RemoveNode: method(`/${adminServiceName}/RemoveNode`),
};
