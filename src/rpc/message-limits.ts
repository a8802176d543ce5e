/** `MessageLimits` of proto/admin.proto. */
import { defaultLimits, type Limits } from '../base/limits.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** What a node takes in one message of a client. */
export interface MessageLimits {
  /** In a `BatchRequest` or `StreamRequest`, those of atomic batches counted. */
  readonly operationsMax: number;
  readonly bytesMax: number;
}

export function messageLimitsOf(limits: Pick<Limits, 'batchOperationsMax' | 'requestBytesMax'>): MessageLimits {
  return { operationsMax: limits.batchOperationsMax, bytesMax: limits.requestBytesMax };
}

/** Of a node that does not tell them. */
export const defaultMessageLimits = messageLimitsOf(defaultLimits);

export function writeMessageLimits(writer: WireWriter, field: number, limits: MessageLimits): void {
  const mark = writer.begin(field);
  writer.uint(1, limits.operationsMax);
  writer.uint(2, limits.bytesMax);
  writer.end(mark);
}

export function readMessageLimits(reader: WireReader): MessageLimits {
  const [operationsMax, bytesMax] = reader.uints(2);
  return { operationsMax, bytesMax };
}
