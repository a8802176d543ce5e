/** The `Admin` service. */
import type { handleUnaryCall } from '@grpc/grpc-js';
import { encodeClusterStatus, encodeShardMap } from './admin-codec.js';
import type { AdminBackend } from './backend.js';
import { deadlineError } from './gate.js';
import { callTimeoutMs, type HandlerContext } from './handler-context.js';
import { refusal } from './kv-codec.js';
import { decodeNodeRequest, decodeWantedMembers } from './membership-codec.js';
import { messageLimitsOf } from './message-limits.js';
import { fail, succeed } from './unary-answer.js';

type BytesHandler = handleUnaryCall<Buffer, Buffer>;

export interface AdminHandlers {
  readonly Status: BytesHandler;
  readonly ShardMap: BytesHandler;
  readonly ChangeReplicas: BytesHandler;
  readonly ReplaceNode: BytesHandler;
  readonly RemoveNode: BytesHandler;
}

/** Answered while the node drains, too. */
export function adminHandlers(admin: AdminBackend, context: HandlerContext): AdminHandlers {
  const messageLimits = messageLimitsOf(context.limits);
  return {
    Status: answering(async (timeoutMs) => {
      throwIfNoRoom(context);
      return encodeClusterStatus(await admin.status(timeoutMs));
    }, context),
    ShardMap: answering(() => {
      throwIfNoRoom(context);
      return Promise.resolve(encodeShardMap({ ...admin.shardMap(), messageLimits }));
    }, context),
    ChangeReplicas: answering(async (timeoutMs, request) => {
      await admin.changeReplicas(decodeWantedMembers(request), timeoutMs);
      return Buffer.alloc(0);
    }, context),
    ReplaceNode: answering(async (timeoutMs, request) => {
      await admin.replaceNode(decodeNodeRequest(request), timeoutMs);
      return Buffer.alloc(0);
    }, context),
    RemoveNode: answering(async (timeoutMs, request) => {
      await admin.removeNode(decodeNodeRequest(request), timeoutMs);
      return Buffer.alloc(0);
    }, context),
  };
}

/** These answers grow with the cluster. The others are empty. */
function throwIfNoRoom({ unsent }: HandlerContext): void {
  const { refusal } = unsent;
  if (refusal !== undefined) throw refusal;
}

type Answer = (timeoutMs: number, request: Buffer) => Promise<Buffer>;

function answering(answer: Answer, context: HandlerContext): BytesHandler {
  const attempt = async (timeoutMs: number, request: Buffer): Promise<Buffer> => {
    const late = deadlineError(timeoutMs);
    if (late !== undefined) throw late;
    return answer(timeoutMs, request);
  };
  return (call, callback) => {
    attempt(callTimeoutMs(call, context), call.request).then(
      (bytes) => succeed(call, callback, bytes, context),
      (error: unknown) => fail(callback, refusal(error)),
    );
  };
}
