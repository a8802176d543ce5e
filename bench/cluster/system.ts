/** What is measured: a cluster of three processes, ours or a rival's, and how one talks to it. */
import type { ProcessCounters } from './process-counters.js';

/** A unary gRPC call as bytes: `path` and the message without its frame. */
export interface UnaryCall {
  readonly path: string;
  readonly message: Uint8Array;
}

/** The calls that are compared, in the words of one system. Keys and values are the same in all. */
export interface UnaryCalls {
  put(key: Uint8Array, value: Uint8Array): UnaryCall;
  /** Linearizable. */
  get(key: Uint8Array): UnaryCall;
  /** All puts in one call. */
  batch(puts: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]): UnaryCall;
}

/** What a node's own counters say; nothing where the system does not tell. */
export interface InnerCounters {
  readonly syncs: number;
  readonly gcMs: number;
  /** Since the last look, if they were watched. */
  readonly loopDelayP99Ms?: number | undefined;
  readonly loopDelayMsMax?: number | undefined;
  /** Of JavaScript's heap, and of that what is used; and of typed arrays, memtables and caches among them. */
  readonly heapBytes?: number | undefined;
  readonly heapUsedBytes?: number | undefined;
  readonly arrayBytes?: number | undefined;
}

export interface LookOptions {
  /** Whether the event loop is watched until the next look, which costs a little. Default true. */
  readonly watchesLoop: boolean;
}

export interface MeasuredProcess {
  readonly name: string;
  readonly pid: number;
  readonly inner: (options?: LookOptions) => Promise<InnerCounters>;
}

/** A cluster that runs and has all its data. */
export interface RunningSystem extends AsyncDisposable {
  readonly calls: UnaryCalls;
  /** `host:port` of every node. */
  readonly endpoints: readonly string[];
  /** Of the node that leads {@link cannedKey}; of one that does not. */
  readonly leader: string;
  readonly follower: string;
  /** The key of calls that are the same again and again. */
  readonly cannedKey: Uint8Array;
  /** Those of the data that are in the same shard. */
  readonly keysOfOneShard: readonly Uint8Array[];
  /** The leader first, then {@link follower}: so process 1 and 2 of both systems do the same for a canned key. */
  readonly processes: readonly MeasuredProcess[];
}

/** What a cluster has from the beginning: `keyOf(0)` … `keyOf(keys - 1)`. */
export interface DataOptions {
  readonly keys: number;
  readonly valueBytes: number;
}

/** Counters of a process at a moment. */
export type CountersNow = ProcessCounters & InnerCounters;
