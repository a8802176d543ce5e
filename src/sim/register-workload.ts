/**
 * Clients that read, write, delete and compare-and-set a few registers, and record what they saw. A write whose
 * outcome is unknown is sometimes sent again with the same request id, to another node: it must not apply twice.
 */
import { utf8, fromUtf8 } from '../base/bytes.js';
import type { Prng } from '../base/prng.js';
import type { Condition, Operation, OperationResult, RequestId } from '../mvcc/operations.js';
import { HistoryRecorder } from '../../jepsen-lite/checker/history.js';
import type { OpenOperation } from '../../jepsen-lite/checker/history.js';
import type { RegisterInput, RegisterOutput } from '../../jepsen-lite/checker/models/register.js';
import type { SimCluster } from './cluster.js';

export interface RegisterWorkloadOptions {
  readonly clients: number;
  readonly keys: number;
  /** Virtual milliseconds between an answer and the client's next call, at most. */
  readonly thinkMsMax: number;
}

/** How the calls ended that came to an end. */
export interface WorkloadCounts {
  done: number;
  notApplied: number;
  unknown: number;
  sentAgain: number;
}

const operationMsMax = 2000;
/** A client that has no answer by then (its node died) gives up: the outcome stays unknown. */
const patienceMs = operationMsMax + 500;

export class RegisterWorkload {
  readonly counts: WorkloadCounts = { done: 0, notApplied: 0, unknown: 0, sentAgain: 0 };
  readonly recorder: HistoryRecorder<RegisterInput, RegisterOutput>;
  readonly #cluster: SimCluster;
  readonly #options: RegisterWorkloadOptions;
  readonly #random: Prng;
  #nextClient = 0;
  #nextValue = 0;
  #stopped = false;

  constructor(cluster: SimCluster, options: RegisterWorkloadOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#random = cluster.random.split('workload');
    this.recorder = new HistoryRecorder({ now: () => cluster.scheduler.nowMs });
  }

  start(): void {
    for (let i = 0; i < this.#options.clients; i++) new Client(this, this.#nextClient++).think();
  }

  /** Clients make no further calls; those under way may still end. */
  stop(): void {
    this.#stopped = true;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  get cluster(): SimCluster {
    return this.#cluster;
  }

  get random(): Prng {
    return this.#random;
  }

  get thinkMsMax(): number {
    return this.#options.thinkMsMax;
  }

  /** A client that does not know what became of its operation is replaced: one thread of a history is never ahead of itself. */
  nextClient(): number {
    return this.#nextClient++;
  }

  drawKey(): string {
    // Spread over the alphabet, so that they fall into different shards.
    const key = this.#random.int(0, this.#options.keys - 1);
    return String.fromCharCode(0x30 + Math.floor((key * 74) / this.#options.keys)) + `key-${key}`;
  }

  drawInput(): RegisterInput {
    const draw = this.#random.float();
    if (draw < 0.4) return { type: 'read' };
    const value = `v${this.#nextValue++}`;
    if (draw < 0.7) return { type: 'write', value };
    if (draw < 0.8) return { type: 'delete' };
    const absent = this.#random.chance(0.3);
    const recent = `v${this.#random.int(Math.max(0, this.#nextValue - 8), this.#nextValue)}`;
    return { type: 'cas', expected: absent ? null : recent, value };
  }
}

/** One thread of calls, each after the answer to the one before. */
class Client {
  readonly #workload: RegisterWorkload;
  readonly #session: Uint8Array;
  #id: number;
  #nextSeq = 1;

  constructor(workload: RegisterWorkload, id: number) {
    this.#workload = workload;
    this.#session = workload.random.bytes(16);
    this.#id = id;
  }

  think(): void {
    const { cluster, random, thinkMsMax } = this.#workload;
    cluster.scheduler.schedule(random.float() * thinkMsMax, `client ${this.#id} thinks`, () => this.#call());
  }

  #call(): void {
    const { recorder, isStopped } = this.#workload;
    if (isStopped) return;
    const key = this.#workload.drawKey();
    const input = this.#workload.drawInput();
    const operation = toOperation(key, input, { session: this.#session, seq: this.#nextSeq++ });
    const handle = recorder.call({ client: this.#id, key, input });
    this.#send(operation, input, handle);
  }

  #send(operation: Operation, input: RegisterInput, handle: OpenOperation, triesBefore = 0): void {
    const { cluster, random } = this.#workload;
    const node = random.int(1, cluster.machines.length);
    let ended = false;
    const end = (result: OperationResult | undefined): void => {
      if (ended) return;
      ended = true;
      this.#onEnd(operation, input, handle, result, triesBefore);
    };
    if (!cluster.submit(node, operation, operationMsMax, end)) {
      // Nobody took it. That says something only about this try.
      if (triesBefore === 0) this.#notApplied(handle);
      else this.#unknown(handle);
      return;
    }
    cluster.scheduler.schedule(patienceMs, `client ${this.#id} gives up`, () => end(undefined));
  }

  #onEnd(
    operation: Operation,
    input: RegisterInput,
    handle: OpenOperation,
    result: OperationResult | undefined,
    triesBefore: number,
  ): void {
    const { random, counts, recorder } = this.#workload;
    if (result !== undefined && result.type !== 'failed') {
      counts.done++;
      recorder.return(handle, toOutput(result));
      this.think();
    } else if (result?.error.outcome === 'notApplied' && triesBefore === 0) {
      this.#notApplied(handle);
    } else if (operation.type !== 'get' && triesBefore < 5 && random.chance(0.5)) {
      counts.sentAgain++;
      this.#send(operation, input, handle, triesBefore + 1);
    } else {
      this.#unknown(handle);
    }
  }

  #notApplied(handle: OpenOperation): void {
    this.#workload.counts.notApplied++;
    this.#workload.recorder.notApplied(handle);
    this.think();
  }

  #unknown(handle: OpenOperation): void {
    this.#workload.counts.unknown++;
    this.#workload.recorder.unknown(handle);
    this.#id = this.#workload.nextClient();
    this.think();
  }
}

function toOperation(key: string, input: RegisterInput, requestId: RequestId): Operation {
  const bytes = utf8(key);
  switch (input.type) {
    case 'read':
      return { type: 'get', key: bytes, consistency: 'linearizable' };
    case 'write':
      return { type: 'put', key: bytes, value: utf8(input.value), condition: { type: 'none' }, requestId };
    case 'delete':
      return { type: 'delete', key: bytes, condition: { type: 'none' }, requestId };
    case 'cas': {
      const { expected, value } = input;
      const condition: Condition =
        expected === null ? { type: 'absent' } : { type: 'valueEquals', value: utf8(expected) };
      if (value === null) return { type: 'delete', key: bytes, condition, requestId };
      return { type: 'put', key: bytes, value: utf8(value), condition, requestId };
    }
  }
}

function toOutput(result: Exclude<OperationResult, { type: 'failed' }>): RegisterOutput {
  switch (result.type) {
    case 'found':
      return { type: 'value', value: fromUtf8(result.value) };
    case 'absent':
      return { type: 'value', value: null };
    case 'written':
      return { type: 'done' };
    case 'nothingDeleted':
      return { type: 'nothingDeleted' };
    case 'conditionFailed':
      return { type: 'refused', current: result.current === undefined ? null : fromUtf8(result.current.value) };
  }
}
