import { createRequire } from 'node:module';
import path from 'node:path';
import type { Server } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

const kvProto = createRequire(import.meta.url).resolve('#proto/kv.proto');

/** Constant: read once however many servers there are in the process. */
const reflection = new ReflectionService(
  loadSync(['kv.proto', 'admin.proto'], { includeDirs: [path.dirname(kvProto)], keepCase: true }),
);

/** Server reflection (v1 and v1alpha), so that tools such as grpcurl need no .proto files. */
export function addReflection(server: Server): void {
  reflection.addToServer(server);
}
