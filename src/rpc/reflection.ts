import { createRequire } from 'node:module';
import path from 'node:path';
import type { Server } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

/** Server reflection (v1 and v1alpha), so that tools such as grpcurl need no .proto files. */
export function addReflection(server: Server): void {
  const kvProto = createRequire(import.meta.url).resolve('#proto/kv.proto');
  const definition = loadSync(['kv.proto', 'admin.proto'], { includeDirs: [path.dirname(kvProto)], keepCase: true });
  new ReflectionService(definition).addToServer(server);
}
