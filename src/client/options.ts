import { QuorateError } from '../base/errors.js';

export interface ClientOptions {
  /** `host:port` of one or more nodes; the client finds the others. */
  readonly endpoints: readonly string[];
  /** Milliseconds for a call whose options name none, and for a page of a scan; retries included. Default 5000. */
  readonly deadlineMs?: number | undefined;
  /** For a whole scan. Default 60 000. */
  readonly scanDeadlineMs?: number | undefined;
  /** Operations that one node has of this client and has not answered; more wait. Default 2048. */
  readonly operationsInFlightMax?: number | undefined;
  /** Operations that are waiting or in flight; more are refused with OVERLOADED. Default 16 384. */
  readonly operationsOpenMax?: number | undefined;
  /** Bytes of those. Default 64 MiB. */
  readonly bytesOpenMax?: number | undefined;
  /** Longest operation that is sent at all; at most the nodes' `requestBytesMax`. Default 4 MiB. */
  readonly operationBytesMax?: number | undefined;
  /** How often the client looks where leaders are while it has work. Default 3000. */
  readonly mapRefreshMs?: number | undefined;
}

/** Every option with its value. */
export type ClientSettings = {
  readonly [Name in keyof ClientOptions]-?: Exclude<ClientOptions[Name], undefined>;
};

/** Throws QuorateError (INVALID_ARGUMENT) for what makes no sense. */
export function clientSettings(options: ClientOptions): ClientSettings {
  const { endpoints } = options;
  if (endpoints.length === 0) throw invalid('no endpoints');
  for (const endpoint of endpoints) {
    if (!/^.+:\d+$/.test(endpoint)) throw invalid(`an endpoint is host:port, got ${JSON.stringify(endpoint)}`);
  }
  return {
    endpoints: [...new Set(endpoints)],
    deadlineMs: positive('deadlineMs', options.deadlineMs, 5000),
    scanDeadlineMs: positive('scanDeadlineMs', options.scanDeadlineMs, 60_000),
    operationsInFlightMax: positive('operationsInFlightMax', options.operationsInFlightMax, 2048),
    operationsOpenMax: positive('operationsOpenMax', options.operationsOpenMax, 16_384),
    bytesOpenMax: positive('bytesOpenMax', options.bytesOpenMax, 64 * 1024 * 1024),
    operationBytesMax: positive('operationBytesMax', options.operationBytesMax, 4 * 1024 * 1024),
    mapRefreshMs: positive('mapRefreshMs', options.mapRefreshMs, 3000),
  };
}

/** The number or its default; throws unless it is above zero. */
export function positive(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!Number.isFinite(value) || value <= 0) throw invalid(`${name} must be above 0, got ${value}`);
  return value;
}

export function invalid(message: string): QuorateError {
  return new QuorateError('INVALID_ARGUMENT', message);
}
