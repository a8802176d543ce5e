/** A real gRPC server over a fake backend, and a client that knows nothing but proto/. */
import {
  credentials,
  loadPackageDefinition,
  Metadata,
  type CallOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type GrpcObject,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { defaultLimits, type Limits } from '../../src/base/limits.js';
import { silentLogger } from '../../src/env/logger.js';
import { SystemClock } from '../../src/platform/clock.js';
import { GrpcServer, type GrpcServerOptions } from '../../src/rpc/server.js';
import { FakeBackend } from './fake-backend.js';
import { root, twinDecode } from './twin.js';

export type Message = Record<string, unknown>;

export interface TestServer extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly backend: FakeBackend;
  readonly address: string;
}

export async function startServer(
  options: {
    backend?: FakeBackend;
    limits?: Partial<Limits>;
    address?: string;
    defaultTimeoutMs?: number;
    timeoutMsMax?: number;
    clock?: GrpcServerOptions['clock'];
  } = {},
): Promise<TestServer> {
  const backend = options.backend ?? new FakeBackend();
  const server = new GrpcServer({
    kv: backend,
    admin: backend,
    limits: { ...defaultLimits, ...options.limits },
    logger: silentLogger,
    clock: options.clock ?? new SystemClock(),
    nowEpochMs: () => Date.now(),
    ...(options.defaultTimeoutMs === undefined ? {} : { defaultTimeoutMs: options.defaultTimeoutMs }),
    ...(options.timeoutMsMax === undefined ? {} : { timeoutMsMax: options.timeoutMsMax }),
  });
  const address = await server.listen(options.address ?? '127.0.0.1:0');
  return {
    server,
    backend,
    address,
    [Symbol.asyncDispose]: () => {
      server.close();
      return Promise.resolve();
    },
  };
}

/** The client that proto-loader makes of proto/, as a user of another language would have it. */
export interface RawClient {
  unary(method: string, request: Message, options?: CallOptions): Promise<Message>;
  start(method: string, request: Message, done: (error: ServiceError | null) => void): ClientUnaryCall;
  scan(request: Message, options?: CallOptions): ClientReadableStream<Message>;
  stream(): ClientDuplexStream<Message, Message>;
  close(): void;
}

type Callback = (error: ServiceError | null, response: Message) => void;
type UnaryStub = (request: Message, metadata: Metadata, options: CallOptions, callback: Callback) => ClientUnaryCall;
type ScanStub = (request: Message, options: CallOptions) => ClientReadableStream<Message>;
type StreamStub = () => ClientDuplexStream<Message, Message>;

const definition = fromJSON(root.toJSON(), { keepCase: true, longs: Number, enums: String, oneofs: false });
const services = (loadPackageDefinition(definition).quorate as GrpcObject).v1 as GrpcObject;

export function rawClient(address: string, service: 'Kv' | 'Admin' = 'Kv'): RawClient {
  const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_send_message_length': -1 };
  const stub = new (services[service] as ServiceClientConstructor)(address, credentials.createInsecure(), options);
  const named = (method: string): unknown => (stub[method] as (...args: unknown[]) => unknown).bind(stub);
  return {
    unary: (method, request, options = {}) =>
      new Promise((resolve, reject) => {
        (named(method) as UnaryStub)(request, new Metadata(), options, (error, response) => {
          if (error === null) resolve(response);
          else reject(error);
        });
      }),
    start: (method, request, done) => (named(method) as UnaryStub)(request, new Metadata(), {}, done),
    scan: (request, options = {}) => (named('Scan') as ScanStub)(request, options),
    stream: () => (named('Stream') as StreamStub)(),
    close: () => stub.close(),
  };
}

/** What the trailer of a failed call says, read by the twin. */
export function errorDetail(error: ServiceError): Message {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const status = twinDecode('google.rpc.Status', bytes as Buffer) as {
    details: { type_url: string; value: string }[];
  };
  const [any] = status.details;
  if (any.type_url !== 'type.googleapis.com/quorate.v1.ErrorDetail') throw new Error(`a ${any.type_url}`);
  return twinDecode('quorate.v1.ErrorDetail', Buffer.from(any.value, 'base64'));
}

export async function failure(promise: Promise<unknown>): Promise<ServiceError> {
  try {
    await promise;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error('the call succeeded');
}

/** Resolves when `condition` holds, looked at in every turn of the event loop. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}
