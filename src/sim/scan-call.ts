import { emptyBytes } from '../base/bytes.js';
import { QuorateError } from '../base/errors.js';
import { Timestamp } from '../base/ids.js';
import type { OpenOperation } from '../../jepsen-lite/checker/history.js';
import type { ScanPage, ScanRequest } from '../rpc/backend.js';
import { operationMsMax, patienceMs } from './attempts.js';
import type { SeenRecord } from './observations.js';
import type { Workload } from './workload.js';

/** A scan of all keys or some, either way, with pages and limits of all sizes; now, or at the timestamp of an earlier scan. */
export function scan(
  workload: Workload,
  client: number,
  consistency: 'linearizable' | 'stale',
  next: () => void,
): void {
  new ScanCall(workload, consistency, next).send(client, workload.drawNode());
}

/** A scan of everything through one node, which must succeed. Calls back with an error or undefined. */
export function scanAll(
  workload: Workload,
  node: number,
  timeoutMs: number,
  done: (error: Error | undefined) => void,
): void {
  new ScanCall(workload, 'linearizable', () => undefined, { timeoutMs, done }).send(workload.nextClient(), node);
}

class ScanCall {
  readonly #workload: Workload;
  readonly #next: () => void;
  readonly #request: ScanRequest;
  /** Those in the range, in the order in which they must come. */
  readonly #keys: readonly string[];
  readonly #calledMs: number;
  readonly #done: ((error: Error | undefined) => void) | undefined;
  readonly #records: SeenRecord[] = [];
  /** A linearizable scan reads each key of its range, as far as that key is concerned. */
  readonly #reads = new Map<string, OpenOperation>();
  #count = 0;
  #readTs: number | undefined;
  #ended = false;

  constructor(
    workload: Workload,
    consistency: 'linearizable' | 'stale',
    next: () => void,
    all?: { readonly timeoutMs: number; readonly done: (error: Error | undefined) => void },
  ) {
    const { random, keys, cluster } = workload;
    this.#workload = workload;
    this.#next = next;
    this.#done = all?.done;
    this.#calledMs = cluster.scheduler.nowMs;
    const from = all === undefined ? random.int(-1, keys.length - 1) : -1;
    const to = all === undefined ? random.int(Math.max(from, 0), keys.length) : keys.length;
    const reverse = random.chance(0.5);
    const inRange = keys.slice(Math.max(0, from), to);
    this.#keys = reverse ? inRange.reverse() : inRange;
    this.#request = {
      start: from < 0 ? emptyBytes : workload.keyBytes(keys[from]),
      end: to >= keys.length ? emptyBytes : workload.keyBytes(keys[to]),
      reverse,
      keysOnly: all === undefined && random.chance(0.2),
      limit: all === undefined && random.chance(0.3) ? random.int(1, keys.length) : 0,
      pageBytes: random.chance(0.5) ? random.int(1, 1000) : 0,
      consistency,
      readTs: Timestamp(all === undefined && consistency === 'linearizable' ? this.#drawReadTs() : 0),
      timeoutMs: all?.timeoutMs ?? operationMsMax,
      pageTimeoutMs: all?.timeoutMs ?? operationMsMax,
    };
  }

  send(client: number, node: number): void {
    const { cluster, recorder } = this.#workload;
    if (this.#isFresh && !this.#request.keysOnly) {
      for (const key of this.#keys) this.#reads.set(key, recorder.call({ client, key, input: { type: 'read' } }));
    }
    const abort = new AbortController();
    const giveUp = (): void => {
      if (this.#ended) return;
      abort.abort();
      this.#end(new Error('the client gave up'));
    };
    const reader = {
      page: (page: ScanPage): void => this.#page(page),
      end: (error: Error | undefined): void => this.#end(error),
    };
    if (!cluster.machine(node).scan(this.#request, reader, abort.signal)) this.#end(new Error(`node ${node} is down`));
    else cluster.scheduler.schedule(this.#request.timeoutMs + patienceMs - operationMsMax, 'a scan gives up', giveUp);
  }

  get #isFresh(): boolean {
    return this.#request.consistency === 'linearizable' && this.#request.readTs === 0;
  }

  /** Mostly now; sometimes the moment of an earlier scan, which must look the same again. */
  #drawReadTs(): number {
    const { random, seen } = this.#workload;
    const recent = seen.scans.slice(-5);
    return recent.length > 0 && random.chance(0.2) ? random.pick(recent).readTs : 0;
  }

  #page({ records, readTs }: ScanPage): void {
    if (this.#ended) return;
    const { seen } = this.#workload;
    this.#count += records.length;
    this.#readTs ??= readTs;
    if (readTs !== this.#readTs) seen.violated(`a scan at ${this.#readTs} has a page at ${readTs}`);
    for (const { key: bytes, version, value } of records) {
      const key = this.#workload.keyOf(bytes);
      if (key === undefined) continue;
      const last = this.#records.at(-1)?.key;
      const place = this.#keys.indexOf(key);
      if (place < 0 || (last !== undefined && this.#keys.indexOf(last) >= place))
        seen.violated(`a scan of ${this.#keys.join(' ')} has ${key} after ${last ?? 'nothing'}`);
      this.#records.push({ key, version, value: this.#request.keysOnly ? undefined : this.#workload.valueOf(value) });
    }
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    const { limit } = this.#request;
    const { counts, seen } = this.#workload;
    if (error === undefined) counts.scans++;
    else counts.scansFailed++;
    if (error instanceof QuorateError) this.#workload.cluster.coverage.refused(error.code);
    if (limit > 0 && this.#count > limit) seen.violated(`a scan has ${this.#count} records, its limit is ${limit}`);
    const isWhole = error === undefined && (limit === 0 || this.#count < limit);
    this.#observe(isWhole ? this.#keys : this.#keys.slice(0, this.#reach()));
    this.#done?.(error);
    this.#next();
  }

  /** How many of the keys lie before the end of what came. */
  #reach(): number {
    const last = this.#records.at(-1)?.key;
    return last === undefined ? 0 : this.#keys.indexOf(last) + 1;
  }

  #observe(covered: readonly string[]): void {
    const { seen, recorder, cluster } = this.#workload;
    const span = { calledMs: this.#calledMs, returnedMs: cluster.scheduler.nowMs };
    for (const record of this.#records) seen.saw(record);
    const records = new Map(this.#records.map((record) => [record.key, record]));
    for (const [key, handle] of this.#reads) {
      if (covered.includes(key)) recorder.return(handle, { type: 'value', value: records.get(key)?.value ?? null });
      else recorder.notApplied(handle);
    }
    if (this.#request.consistency === 'stale') {
      for (const key of covered) seen.staleReads.push({ key, version: records.get(key)?.version ?? 0, ...span });
    } else if (this.#readTs !== undefined) {
      seen.scans.push({ readTs: this.#readTs, isFresh: this.#isFresh, covered, records: this.#records, ...span });
    }
  }
}
