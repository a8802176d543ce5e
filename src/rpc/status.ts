/**
 * QuorateError ↔ gRPC status, total both ways. The details travel in the `grpc-status-details-bin` trailer as a
 * google.rpc.Status with one `quorate.v1.ErrorDetail`.
 */
import { Metadata, status as GrpcStatus } from '@grpc/grpc-js';
import { DecodeError } from '../base/coding.js';
import { QuorateError, type ErrorCode } from '../base/errors.js';
import { readErrorDetail, readRefusedMessage, writeErrorDetail } from './error-codec.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

const detailsKey = 'grpc-status-details-bin';
const detailTypeUrl = 'type.googleapis.com/quorate.v1.ErrorDetail';

/** Headers are small; a longer message is cut. */
const messageCharsMax = 1024;

const statusOfCode: Readonly<Record<ErrorCode, GrpcStatus>> = {
  INVALID_ARGUMENT: GrpcStatus.INVALID_ARGUMENT,
  KEYS_IN_DIFFERENT_SHARDS: GrpcStatus.FAILED_PRECONDITION,
  NOT_LEADER: GrpcStatus.UNAVAILABLE,
  SHARD_UNAVAILABLE: GrpcStatus.UNAVAILABLE,
  TIMESTAMP_UNAVAILABLE: GrpcStatus.UNAVAILABLE,
  EPOCH_MISMATCH: GrpcStatus.ABORTED,
  DEADLINE_EXCEEDED: GrpcStatus.DEADLINE_EXCEEDED,
  CANCELLED: GrpcStatus.CANCELLED,
  OVERLOADED: GrpcStatus.RESOURCE_EXHAUSTED,
  READ_TOO_OLD: GrpcStatus.FAILED_PRECONDITION,
  DISK_FULL: GrpcStatus.RESOURCE_EXHAUSTED,
  CORRUPTION: GrpcStatus.DATA_LOSS,
  NODE_STOPPING: GrpcStatus.UNAVAILABLE,
  NODE_RETIRED: GrpcStatus.FAILED_PRECONDITION,
  NODE_REMOVED: GrpcStatus.FAILED_PRECONDITION,
  UNAVAILABLE: GrpcStatus.UNAVAILABLE,
  INTERNAL: GrpcStatus.INTERNAL,
};

/** How a gRPC call ends in failure; what grpc-js takes from a handler. */
export interface FailedStatus {
  readonly code: GrpcStatus;
  readonly details: string;
  readonly metadata: Metadata;
}

export function grpcStatusOf(code: ErrorCode): GrpcStatus {
  return statusOfCode[code];
}

/** @param refusedMessage of a `Stream`, where one of its messages is why it ends, from 1 */
export function toGrpcStatus(error: QuorateError, refusedMessage?: number): FailedStatus {
  const code = grpcStatusOf(error.code);
  const details = error.message.slice(0, messageCharsMax);
  const metadata = new Metadata();
  const detail = new WireWriter();
  writeErrorDetail(detail, error, refusedMessage);
  metadata.set(detailsKey, encodeDetails(code, details, detail.finish()));
  return { code, details, metadata };
}

/**
 * What a gRPC call failed with, as the caller of the client sees it. Without our details (a proxy answered, or grpc-js
 * itself) the status alone counts, and the outcome is unknown unless the status means that no handler was reached.
 */
export function fromGrpcError(thrown: unknown): QuorateError {
  if (thrown instanceof QuorateError) return thrown;
  if (!isFailedStatus(thrown)) return QuorateError.from(thrown);
  const error = undetailed(thrown);
  return fromDetail(thrown, (detail) => readErrorDetail(detail, thrown.details, error.code)) ?? error;
}

/**
 * The message of a `Stream`, from 1, that a node refused and ended the stream for: it says that nothing of this one and of those after
 * it has been done or will be.
 */
export function refusedMessageOf(thrown: unknown): number | undefined {
  return isFailedStatus(thrown) ? fromDetail(thrown, readRefusedMessage) : undefined;
}

function fromDetail<T>({ metadata }: GrpcError, read: (detail: WireReader) => T | undefined): T | undefined {
  for (const value of metadata?.get(detailsKey) ?? []) {
    if (typeof value === 'string') continue;
    const found = decodeDetails(value, read);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface GrpcError {
  readonly code: number;
  readonly details: string;
  readonly metadata?: Metadata;
}

function isFailedStatus(thrown: unknown): thrown is GrpcError {
  if (typeof thrown !== 'object' || thrown === null) return false;
  return (
    'code' in thrown && typeof thrown.code === 'number' && 'details' in thrown && typeof thrown.details === 'string'
  );
}

function undetailed({ code, details }: GrpcError): QuorateError {
  switch (code as GrpcStatus) {
    case GrpcStatus.INVALID_ARGUMENT:
    case GrpcStatus.UNIMPLEMENTED:
    case GrpcStatus.UNAUTHENTICATED:
    case GrpcStatus.PERMISSION_DENIED:
      return new QuorateError('INVALID_ARGUMENT', details, { outcome: 'notApplied' });
    case GrpcStatus.UNAVAILABLE:
    case GrpcStatus.ABORTED:
      return new QuorateError('UNAVAILABLE', details, { outcome: 'unknown' });
    case GrpcStatus.DEADLINE_EXCEEDED:
      return new QuorateError('DEADLINE_EXCEEDED', details, { outcome: 'unknown' });
    case GrpcStatus.CANCELLED:
      return new QuorateError('CANCELLED', details, { outcome: 'unknown' });
    case GrpcStatus.RESOURCE_EXHAUSTED:
      // Also grpc-js's answer to an oversized message: the same request would fail again.
      return new QuorateError('OVERLOADED', details, { outcome: 'unknown', retryable: false });
    default:
      return new QuorateError('INTERNAL', `gRPC status ${code}: ${details}`, { outcome: 'unknown' });
  }
}

function encodeDetails(code: number, message: string, detail: Uint8Array): Buffer {
  const writer = new WireWriter();
  writer.uint(1, code);
  writer.text(2, message);
  const any = writer.begin(3);
  writer.text(1, detailTypeUrl);
  writer.presentBytes(2, detail);
  writer.end(any);
  return writer.finish();
}

/** Undefined when there is no detail of ours in `bytes`. */
function decodeDetails<T>(bytes: Uint8Array, read: (detail: WireReader) => T): T | undefined {
  try {
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.field !== 3) {
        reader.skip();
        continue;
      }
      const detail = readAny(reader.message());
      if (detail !== undefined) return read(detail);
    }
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function readAny(reader: WireReader): WireReader | undefined {
  let typeUrl = '';
  let value: WireReader | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        typeUrl = reader.text();
        break;
      case 2:
        value = reader.message();
        break;
      default:
        reader.skip();
    }
  }
  return typeUrl === detailTypeUrl ? value : undefined;
}
