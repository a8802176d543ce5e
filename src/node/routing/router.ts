/**
 * Takes any operation on any key and gets it done on whichever node leads the key's shard, before its deadline.
 *
 * What fails in a way that another try can mend (a leader changed, a connection broke) is tried again with the same
 * request id, which makes that safe. What is left at the deadline fails with the reason of the last try; its outcome
 * is unknown exactly when some try may have taken effect.
 */
import { printable } from '../../base/bytes.js';
import { QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Prng } from '../../base/prng.js';
import type { Clock, Timer } from '../../env/clock.js';
import { payloadBytes } from '../../mvcc/operation-bytes.js';
import { routingKey } from '../../mvcc/operations.js';
import type { Operation, OperationResult, RequestId } from '../../mvcc/operations.js';
import type { PeerResponse } from '../../rpc/peer-messages.js';
import type { ShardMap } from '../../placement/shard-map.js';
import { strayKey, type ShardDescriptor } from '../../shard/descriptor.js';
import type { KvExecutor } from '../../shard/kv-executor.js';
import type { Task } from '../../shard/task.js';
import { answerMsMax, endAtDeadline, retryDelayMs } from './retry.js';
import type { ShardNodes } from './shard-nodes.js';

export interface RouterOptions {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly random: Prng;
  readonly limits: Limits;
  readonly shardMap: () => ShardMap;
  /** The executor of the shard's replica on this node, if there is one. */
  readonly executor: (shard: ShardDescriptor) => KvExecutor | undefined;
  readonly shardNodes: Pick<ShardNodes, 'choose' | 'ask'>;
}

/** An operation that this node has accepted. */
class Routed {
  readonly operation: Operation;
  readonly deadlineMs: number;
  readonly bytes: number;
  readonly done: (result: OperationResult) => void;
  /** Whether this node tries again; false for what another node has forwarded, which does that itself. */
  readonly retries: boolean;
  /** A try that may still take effect, or may have. */
  maybeApplied = false;
  finished = false;
  tries = 0;
  lastError: QuorateError | undefined;
  /** The local try under way, so that one that has not begun can be called off. */
  task: Task | undefined;

  constructor(
    operation: Operation,
    options: { deadlineMs: number; retries: boolean },
    done: (result: OperationResult) => void,
  ) {
    this.operation = operation;
    this.deadlineMs = options.deadlineMs;
    this.retries = options.retries;
    this.done = done;
    this.bytes = payloadBytes(operation);
  }
}

export class Router {
  readonly #options: RouterOptions;
  readonly #session: Uint8Array;
  #nextSeq = 1;
  readonly #pending = new Set<Routed>();
  #pendingBytes = 0;
  /** To be tried again at or after a time. */
  #retries: { readonly atMs: number; readonly routed: Routed }[] = [];
  /** To be forwarded at the end of this turn, one request for each shard. */
  #forwards = new Map<ShardDescriptor, { readonly node: NodeId; readonly routed: Routed[] }>();
  /** Fires when the next operation reaches its deadline. */
  #expiryTimer: Timer | undefined;
  #stopping = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#session = options.random.bytes(16);
  }

  newRequestId(): RequestId {
    return { session: this.#session, seq: this.#nextSeq++ };
  }

  /** Operations that were accepted and not answered. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** See KvBackend.submit; `timeoutMs` has been capped. */
  submit(operation: Operation, timeoutMs: number, done: (result: OperationResult) => void): void {
    const routed = this.#accept(operation, timeoutMs, true, done);
    if (routed !== undefined) this.#try(routed);
  }

  /** What another node has forwarded to this one: done here or not at all. */
  executeHere(
    shard: ShardDescriptor,
    operation: Operation,
    timeoutMs: number,
    done: (result: OperationResult) => void,
  ): void {
    const routed = this.#accept(operation, timeoutMs, false, done);
    if (routed === undefined) return;
    const executor = this.#options.executor(shard);
    if (executor !== undefined) this.#tryHere(routed, shard, executor);
    else
      this.#fail(
        routed,
        new QuorateError('NOT_LEADER', `no replica of shard ${shard.shard} here`, { shard: shard.shard }),
      );
  }

  #accept(
    operation: Operation,
    timeoutMs: number,
    retries: boolean,
    done: (result: OperationResult) => void,
  ): Routed | undefined {
    const refused = this.#refusal(operation);
    if (refused !== undefined) {
      this.#options.clock.endOfTurn(() => done({ type: 'failed', error: refused }));
      return undefined;
    }
    const routed = new Routed(operation, { deadlineMs: this.#options.clock.monotonicMs() + timeoutMs, retries }, done);
    this.#pending.add(routed);
    this.#pendingBytes += routed.bytes;
    return routed;
  }

  #refusal(operation: Operation): QuorateError | undefined {
    const { limits } = this.#options;
    if (this.#stopping) return new QuorateError('NODE_STOPPING', `node ${this.#options.nodeId} is stopping`);
    if (this.#pending.size >= limits.nodeOperationsInFlightMax) {
      const message = `the node has ${limits.nodeOperationsInFlightMax} operations in flight (nodeOperationsInFlightMax)`;
      return new QuorateError('OVERLOADED', message, { retryAfterMs: 50 });
    }
    if (this.#pendingBytes + payloadBytes(operation) > limits.nodeBytesInFlightMax) {
      const message = `the node has ${limits.nodeBytesInFlightMax} bytes in flight (nodeBytesInFlightMax)`;
      return new QuorateError('OVERLOADED', message, { retryAfterMs: 50 });
    }
    return undefined;
  }

  #try(routed: Routed): void {
    routed.tries++;
    const shard = this.#options.shardMap().find(routingKey(routed.operation));
    if (shard === undefined) {
      this.#retryLater(routed, new QuorateError('SHARD_UNAVAILABLE', 'the cluster is not formed yet'));
      return;
    }
    const stray = strayKey(shard, routed.operation);
    if (stray !== undefined) {
      const error = differentShards(routingKey(routed.operation), stray);
      this.#options.clock.endOfTurn(() => this.#fail(routed, error));
      return;
    }
    const executor = this.#options.executor(shard);
    const stale = routed.operation.type === 'get' && routed.operation.consistency === 'stale';
    if (executor !== undefined && (stale || executor.replica.isLeader)) {
      this.#tryHere(routed, shard, executor);
      return;
    }
    const node = this.#options.shardNodes.choose(shard, routed.tries, stale);
    if (node === undefined) {
      const message = `shard ${shard.shard} has no leader that node ${this.#options.nodeId} knows`;
      this.#retryLater(routed, new QuorateError('SHARD_UNAVAILABLE', message, { shard: shard.shard }));
      return;
    }
    this.#forward(routed, shard, node);
  }

  #tryHere(routed: Routed, shard: ShardDescriptor, executor: KvExecutor): void {
    const task: Task = {
      operation: routed.operation,
      abandoned: false,
      begun: false,
      settle: (result) => {
        if (routed.task === task) routed.task = undefined;
        this.#settled(routed, result);
      },
    };
    routed.task = task;
    executor.execute(task, shard.epoch);
  }

  // ---- forwarding

  #forward(routed: Routed, shard: ShardDescriptor, node: NodeId): void {
    const waiting = this.#forwards.get(shard);
    if (waiting !== undefined && waiting.node === node) {
      waiting.routed.push(routed);
      return;
    }
    if (this.#forwards.size === 0) this.#options.clock.endOfTurn(() => this.#sendForwards());
    // A leader that changed within the turn: what was gathered for the old one goes along to the new.
    this.#forwards.set(shard, { node, routed: [...(waiting?.routed ?? []), routed] });
  }

  #sendForwards(): void {
    const forwards = [...this.#forwards];
    this.#forwards = new Map();
    const { batchOperationsMax, requestBytesMax } = this.#options.limits;
    for (const [shard, { node, routed }] of forwards) {
      let group: Routed[] = [];
      let bytes = 0;
      for (const one of routed) {
        const size = one.bytes + forwardOverheadBytes;
        if (group.length > 0 && (group.length >= batchOperationsMax || bytes + size > requestBytesMax)) {
          void this.#sendForward(shard, node, group);
          group = [];
          bytes = 0;
        }
        group.push(one);
        bytes += size;
      }
      void this.#sendForward(shard, node, group);
    }
  }

  async #sendForward(shard: ShardDescriptor, node: NodeId, group: readonly Routed[]): Promise<void> {
    const live = group.filter((routed) => !routed.finished);
    if (live.length === 0) return;
    const now = this.#options.clock.monotonicMs();
    const leftMs = Math.max(...live.map((routed) => routed.deadlineMs)) - now;
    const timeoutMs = Math.max(1, Math.min(leftMs, answerMsMax(Math.min(...live.map((routed) => routed.tries)))));
    const operations = live.map((routed) => routed.operation);
    let response: PeerResponse;
    // From here on each of them may take effect; what comes back says so, or not.
    const before = live.map((routed) => routed.maybeApplied);
    for (const routed of live) if (routed.operation.type !== 'get') routed.maybeApplied = true;
    try {
      const body = { type: 'execute', shard: shard.shard, epoch: shard.epoch, operations } as const;
      response = await this.#options.shardNodes.ask(shard, node, body, timeoutMs);
    } catch (error) {
      response = { type: 'failed', error: QuorateError.from(error), leader: undefined };
    }
    live.forEach((routed, i) => {
      let result: OperationResult;
      if (response.type === 'executed' && i < response.results.length) result = response.results[i];
      else if (response.type === 'failed') result = { type: 'failed', error: response.error };
      else
        result = {
          type: 'failed',
          error: new QuorateError('INTERNAL', `node ${node} gave no answer`, { outcome: 'unknown' }),
        };
      if (result.type === 'failed' && result.error.outcome === 'notApplied') routed.maybeApplied = before[i];
      this.#settled(routed, result);
    });
  }

  // ---- ends

  #settled(routed: Routed, result: OperationResult): void {
    if (routed.finished) return;
    if (result.type !== 'failed') {
      this.#finish(routed, result);
      return;
    }
    const { error } = result;
    if (error.outcome === 'unknown' && routed.operation.type !== 'get') routed.maybeApplied = true;
    // The time of one try at another node is over before that of the operation. A full queue is the caller's to know:
    // whoever waits here for room only makes it fuller.
    const mayMend = error.code === 'DEADLINE_EXCEEDED' || (error.retryable && error.code !== 'OVERLOADED');
    if (mayMend && routed.retries && !this.#stopping) this.#retryLater(routed, error);
    else this.#fail(routed, error);
  }

  #retryLater(routed: Routed, error: QuorateError): void {
    routed.lastError = error;
    const atMs =
      this.#options.clock.monotonicMs() + retryDelayMs(routed.tries, error.retryAfterMs, this.#options.random);
    if (atMs >= routed.deadlineMs) return; // `tick` ends it at its deadline, in case its shard is just late
    this.#retries.push({ atMs, routed });
  }

  /** Called with every tick: starts retries that are due, ends what has reached its deadline. */
  tick(): void {
    const now = this.#options.clock.monotonicMs();
    const due = this.#retries.filter((retry) => retry.atMs <= now);
    if (due.length > 0) this.#retries = this.#retries.filter((retry) => retry.atMs > now);
    for (const { routed } of due) if (!routed.finished && routed.deadlineMs > now) this.#try(routed);
    this.#expireDue();
  }

  /**
   * Ends what has reached its deadline, and comes back in time for the next: a caller that got its answer only with
   * the next tick would have given up by its own clock, without learning what was wrong.
   */
  #expireDue(): void {
    const { clock } = this.#options;
    const now = clock.monotonicMs();
    let nextMs = Infinity;
    for (const routed of this.#pending) {
      if (routed.deadlineMs <= now) this.#expire(routed);
      else nextMs = Math.min(nextMs, routed.deadlineMs);
    }
    this.#expiryTimer?.cancel();
    this.#expiryTimer = undefined;
    if (nextMs === Infinity) return;
    this.#expiryTimer = clock.after(Math.max(expiryMsMin, nextMs - now), () => this.#expireDue());
  }

  #expire(routed: Routed): void {
    const shard = this.#options.shardMap().find(routingKey(routed.operation))?.shard;
    this.#abandon(routed, endAtDeadline(shard, routed.lastError));
  }

  /** Ends it although a try may be under way here; if that has not begun it never will. */
  #abandon(routed: Routed, error: QuorateError): void {
    const { task, operation } = routed;
    if (task !== undefined) {
      task.abandoned = true;
      if (task.begun && operation.type !== 'get') routed.maybeApplied = true;
    }
    this.#fail(routed, error);
  }

  #fail(routed: Routed, error: QuorateError): void {
    this.#finish(routed, { type: 'failed', error: routed.maybeApplied ? error.withUnknownOutcome() : error });
  }

  #finish(routed: Routed, result: OperationResult): void {
    if (routed.finished) return;
    routed.finished = true;
    this.#pending.delete(routed);
    this.#pendingBytes -= routed.bytes;
    routed.done(result);
  }

  /** Accepts no more; what is under way gets no further retries. */
  stop(): void {
    this.#stopping = true;
  }

  /** Ends all that is left. Nothing of it is done after this. */
  close(): void {
    this.#stopping = true;
    this.#expiryTimer?.cancel();
    this.#retries = [];
    for (const routed of this.#pending) {
      this.#abandon(routed, new QuorateError('NODE_STOPPING', `node ${this.#options.nodeId} is stopping`));
    }
  }
}

function differentShards(one: Uint8Array, other: Uint8Array): QuorateError {
  const message = `the keys ${printable(one)} and ${printable(other)} of an atomic batch are in different shards`;
  return new QuorateError('KEYS_IN_DIFFERENT_SHARDS', message);
}

const forwardOverheadBytes = 64;
/** Looks at all operations are at least this far apart. */
const expiryMsMin = 5;
