/**
 * Scans over all shards that a range touches, page by page, at one read timestamp: the result is the state at one
 * moment, however long the scan takes (up to `versionRetentionMs`). Each page is asked of the shard that the map has
 * at that time; after an error that another try can mend the same page is asked again.
 *
 * A stale scan reads this node's own replicas where it has them. It is not of one moment: each page shows the newest
 * that the replica has when it is read. A timestamp that is chosen before could be as old as the replica was then, and
 * would be read when the replica can show that it is current again.
 */
import { onAbort } from '../../base/abort.js';
import { compareBytes } from '../../base/bytes.js';
import { QuorateError } from '../../base/errors.js';
import { placementShardId, timestampMax } from '../../base/ids.js';
import type { ShardId, Timestamp } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Prng } from '../../base/prng.js';
import type { Clock } from '../../env/clock.js';
import type { ShardMap } from '../../placement/shard-map.js';
import type { ScanPage, ScanRecord, ScanRequest } from '../../rpc/backend.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import type { KvExecutor } from '../../shard/kv-executor.js';
import type { TimestampSource } from '../../shard/write-batches.js';
import { answerMsMax, endAtDeadline, retryDelayMs } from './retry.js';
import type { ShardNodes } from './shard-nodes.js';

export interface ScannerOptions {
  readonly clock: Clock;
  readonly random: Prng;
  readonly limits: Limits;
  readonly timestamps: TimestampSource;
  readonly shardMap: () => ShardMap;
  readonly executor: (shard: ShardDescriptor) => KvExecutor | undefined;
  readonly shardNodes: Pick<ShardNodes, 'choose' | 'ask'>;
}

/** One page as a shard gives it; `resume` is where that shard goes on. */
interface ShardPage {
  readonly records: readonly ScanRecord[];
  readonly resume: Uint8Array | undefined;
}

interface Position {
  /** Forward: the first key not read. Reverse: everything at or above is read. Empty: that end of the key space. */
  readonly bound: Uint8Array;
}

/** Where a page begins, and what it may hold. */
interface PageStart {
  readonly position: Position;
  readonly readTs: Timestamp;
  /** Records. */
  readonly left: number;
}

interface TimeLimits {
  /** By the monotonic clock. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export class Scanner {
  readonly #options: ScannerOptions;
  #closed = false;

  constructor(options: ScannerOptions) {
    this.#options = options;
  }

  /** See KvBackend.scan; limits and timeout have been capped. */
  async *scan(request: ScanRequest, signal: AbortSignal): AsyncGenerator<ScanPage> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + request.timeoutMs;
    const soon = (): TimeLimits => ({
      deadlineMs: Math.min(endMs, clock.monotonicMs() + request.pageTimeoutMs),
      signal,
    });
    const readTs = await this.#readTimestamp(request, soon());
    let left = request.limit === 0 ? Infinity : request.limit;
    let position: Position | undefined = { bound: request.reverse ? request.end : request.start };
    while (position !== undefined && left > 0) {
      const { shard, page } = await this.#page(request, { position, readTs, left, ...soon() });
      left -= page.records.length;
      position = page.resume === undefined ? nextShard(request, shard) : { bound: page.resume };
      if (page.records.length > 0) yield { records: page.records, readTs };
    }
  }

  async #readTimestamp(request: ScanRequest, limits: TimeLimits): Promise<Timestamp> {
    if (request.consistency === 'linearizable') {
      const now = await this.#untilDone(
        limits,
        () => placementShardId,
        () => this.#options.timestamps.request(1),
      );
      // Writes at a timestamp that is yet to be issued could still come.
      if (request.readTs > now)
        throw new QuorateError('INVALID_ARGUMENT', `timestamp ${request.readTs} was not issued yet`);
      return request.readTs === 0 ? now : request.readTs;
    }
    return request.readTs;
  }

  #page(request: ScanRequest, at: PageStart & TimeLimits): Promise<{ shard: ShardDescriptor; page: ShardPage }> {
    const shardAt = (): ShardDescriptor | undefined => this.#shardAt(request, at.position);
    return this.#untilDone(
      at,
      () => shardAt()?.shard,
      async (tries) => {
        const shard = shardAt();
        if (shard === undefined) throw new QuorateError('SHARD_UNAVAILABLE', 'the cluster is not formed yet');
        return { shard, page: await this.#ask(request, shard, { ...at, tries }) };
      },
    );
  }

  #shardAt(request: ScanRequest, { bound }: Position): ShardDescriptor | undefined {
    const map = this.#options.shardMap();
    return request.reverse ? map.findBelow(bound) : map.find(bound);
  }

  async #ask(
    request: ScanRequest,
    shard: ShardDescriptor,
    at: PageStart & { readonly deadlineMs: number; readonly tries: number },
  ): Promise<ShardPage> {
    const { limits, executor, shardNodes, clock } = this.#options;
    const { reverse, keysOnly, consistency } = request;
    const start = reverse ? later(request.start, shard.start) : at.position.bound;
    const end = reverse ? earlierEnd(at.position.bound, shard.end) : earlierEnd(request.end, shard.end);
    const bytesMax =
      request.pageBytes === 0 ? limits.scanPageBytesMax : Math.min(request.pageBytes, limits.scanPageBytesMax);
    const recordsMax = Math.min(at.left, limits.scanPageRecordsMax);
    const newest = at.readTs === 0 ? timestampMax : at.readTs;
    const spec = { start, end, at: newest, reverse, keysOnly, bytesMax, recordsMax };
    const local = executor(shard);
    if (local !== undefined && (consistency === 'stale' || local.replica.isLeader)) {
      return local.scanPage(spec, shard.epoch, consistency);
    }
    const node = shardNodes.choose(shard, at.tries, consistency === 'stale');
    if (node === undefined) {
      const message = `shard ${shard.shard} has no leader that this node knows`;
      throw new QuorateError('SHARD_UNAVAILABLE', message, { shard: shard.shard });
    }
    const timeoutMs = Math.max(1, Math.min(at.deadlineMs - clock.monotonicMs(), answerMsMax(at.tries)));
    const body = { type: 'scanPage', shard: shard.shard, epoch: shard.epoch, ...spec, consistency } as const;
    const response = await shardNodes.ask(shard, node, body, timeoutMs);
    if (response.type === 'scannedPage') return response;
    if (response.type === 'failed') throw response.error;
    throw new QuorateError('INTERNAL', `node ${node} answered a scan with ${response.type}`);
  }

  /** Tries until it works, fails for good, or the time is over. `shard` is the one that is asked by then. */
  async #untilDone<T>(
    limits: TimeLimits,
    shard: () => ShardId | undefined,
    attempt: (tries: number) => Promise<T>,
  ): Promise<T> {
    const { clock, random } = this.#options;
    let lastError: QuorateError | undefined;
    for (let tries = 1; ; tries++) {
      if (this.#closed) throw new QuorateError('NODE_STOPPING', 'the node is stopping');
      const done = await within(clock, limits, attempt(tries));
      if (done.type === 'succeeded') return done.value;
      if (done.type === 'timeOver') throw endAtDeadline(shard(), lastError);
      lastError = QuorateError.from(done.error, 'notApplied');
      if (!lastError.retryable) throw lastError;
      const delayMs = retryDelayMs(tries, lastError.retryAfterMs, random);
      if (clock.monotonicMs() + delayMs >= limits.deadlineMs) throw endAtDeadline(shard(), lastError);
      await within(clock, limits, new Promise<void>((resolve) => clock.after(delayMs, resolve)));
    }
  }

  /** Scans that are under way fail with their next try. */
  close(): void {
    this.#closed = true;
  }
}

type Done<T> =
  | { readonly type: 'succeeded'; readonly value: T }
  | { readonly type: 'failed'; readonly error: unknown }
  | { readonly type: 'timeOver' };

/** How `promise` ends, or `timeOver` if it has not by the deadline. Rejects with CANCELLED when the caller gives up. */
function within<T>(clock: Clock, { deadlineMs, signal }: TimeLimits, promise: Promise<T>): Promise<Done<T>> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () => {
      end();
      resolve({ type: 'timeOver' });
    });
    const stopListening = onAbort(signal, () => {
      timer.cancel();
      reject(new QuorateError('CANCELLED', 'the caller gave up'));
    });
    const end = (): void => {
      timer.cancel();
      stopListening();
    };
    promise
      .then(
        (value) => resolve({ type: 'succeeded', value }),
        (error: unknown) => resolve({ type: 'failed', error }),
      )
      .finally(end);
  });
}

/** Where a scan goes on when it has read all of `shard`; undefined when that was the last. */
function nextShard(request: ScanRequest, shard: ShardDescriptor): Position | undefined {
  if (request.reverse) {
    const done = shard.start.length === 0 || compareBytes(shard.start, request.start) <= 0;
    return done ? undefined : { bound: shard.start };
  }
  const done = shard.end.length === 0 || (request.end.length > 0 && compareBytes(shard.end, request.end) >= 0);
  return done ? undefined : { bound: shard.end };
}

function later(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) >= 0 ? a : b;
}

/** The earlier of two exclusive ends, of which an empty one is the end of the key space. */
function earlierEnd(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  return compareBytes(a, b) <= 0 ? a : b;
}
