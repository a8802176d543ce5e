/** The `Admin` service. */
import type { handleUnaryCall } from '@grpc/grpc-js';
import { QuorateError } from '../base/errors.js';
import { encodeClusterStatus, encodeShardMap } from './admin-codec.js';
import type { AdminBackend } from './backend.js';
import { deadlineError } from './gate.js';
import { callTimeoutMs, type HandlerContext } from './handler-context.js';
import { toGrpcStatus } from './status.js';

type BytesHandler = handleUnaryCall<Buffer, Buffer>;

export interface AdminHandlers {
  readonly Status: BytesHandler;
  readonly ShardMap: BytesHandler;
}

/** Answered while the node drains, too. */
export function adminHandlers(admin: AdminBackend, context: HandlerContext): AdminHandlers {
  return {
    Status: answering(async (timeoutMs) => encodeClusterStatus(await admin.status(timeoutMs)), context),
    ShardMap: answering(() => Promise.resolve(encodeShardMap(admin.shardMap())), context),
  };
}

function answering(answer: (timeoutMs: number) => Promise<Buffer>, context: HandlerContext): BytesHandler {
  const attempt = async (timeoutMs: number): Promise<Buffer> => {
    const late = deadlineError(timeoutMs);
    if (late !== undefined) throw late;
    return answer(timeoutMs);
  };
  return (call, callback) => {
    attempt(callTimeoutMs(call, context)).then(
      (bytes) => callback(null, bytes),
      (error: unknown) => callback(toGrpcStatus(QuorateError.from(error, 'notApplied'))),
    );
  };
}
