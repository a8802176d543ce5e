import { checkList, checkObject, millisecondsOf, wholeNumberOf, wrong } from './arguments.js';

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
  /** Longest operation that is sent at all; less where the nodes' `requestBytesMax` is less. Default 4 MiB. */
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
  checkObject('options', options);
  const count = (field: keyof ClientOptions, otherwise: number): number =>
    options[field] === undefined ? otherwise : wholeNumberOf(field, options[field], 1);
  return {
    endpoints: endpointsOf(options.endpoints),
    deadlineMs: millisecondsOf('deadlineMs', options.deadlineMs, 5000),
    scanDeadlineMs: millisecondsOf('scanDeadlineMs', options.scanDeadlineMs, 60_000),
    operationsInFlightMax: count('operationsInFlightMax', 2048),
    operationsOpenMax: count('operationsOpenMax', 16_384),
    bytesOpenMax: count('bytesOpenMax', 64 * 1024 * 1024),
    operationBytesMax: count('operationBytesMax', 4 * 1024 * 1024),
    mapRefreshMs: millisecondsOf('mapRefreshMs', options.mapRefreshMs, 3000),
  };
}

/** Without repeated ones. */
function endpointsOf(endpoints: readonly unknown[]): readonly string[] {
  checkList('endpoints', endpoints);
  if (endpoints.length === 0) throw wrong('endpoints', 'one or more of host:port', endpoints);
  const distinct = new Set<string>();
  endpoints.forEach((endpoint, i) => {
    if (typeof endpoint !== 'string' || !/^.+:\d+$/.test(endpoint))
      throw wrong(`endpoints[${i}]`, 'host:port', endpoint);
    distinct.add(endpoint);
  });
  return [...distinct];
}
