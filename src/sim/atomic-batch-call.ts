/**
 * An atomic batch of registers that lie next to each other, most likely in one shard. The history of each key has its
 * write, as a compare-and-set where it has a condition; what a refusal told of a key is a read. That all of it took effect
 * together is held against versions and scans: `Observations` knows which writes must have one version.
 */
import { entryBytes } from '../mvcc/operation-bytes.js';
import type { AtomicBatch, AtomicOperation, FailedCondition } from '../mvcc/operations.js';
import type { OpenOperation } from '../../jepsen-lite/checker/history.js';
import type { RegisterInput, RegisterValue } from '../../jepsen-lite/checker/models/register-operation.js';
import { Attempts, type Answer, type Caller } from './attempts.js';
import type { SeenWrite } from './observations.js';
import type { Workload } from './workload.js';

const keysMax = 3;

/** What the batch does with one register. */
interface Part {
  readonly key: string;
  readonly type: AtomicOperation['type'];
  /** Null but for a put. */
  readonly value: RegisterValue;
  /** Undefined: no condition. */
  readonly expected: RegisterValue | undefined;
  /** Of a put or delete. */
  readonly write: OpenOperation | undefined;
  /** Of what a condition meets. */
  readonly read: OpenOperation | undefined;
}

export class AtomicBatchCall {
  readonly #workload: Workload;
  readonly #parts: readonly Part[];
  readonly #attempts: Attempts;
  readonly #calledMs: number;
  readonly #onEnd: (isKnown: boolean) => void;

  constructor(workload: Workload, client: Caller, onEnd: (isKnown: boolean) => void) {
    this.#workload = workload;
    this.#calledMs = workload.cluster.scheduler.nowMs;
    this.#onEnd = onEnd;
    this.#parts = drawKeys(workload).map((key) => drawPart(workload, client.id, key));
    workload.seen.willWriteTogether(this.#writes);
    const batch = this.#toBatch(client);
    const name = `atomic batch of ${this.#parts.map(({ key }) => key).join(' ')}`;
    this.#attempts = new Attempts(workload, client.id, batch, name, {
      answered: (answer) => this.#answered(answer),
      notApplied: () => this.#notApplied(),
      unknown: () => this.#unknown(),
    });
  }

  send(node: number): void {
    this.#attempts.send(node);
  }

  get #writes(): readonly SeenWrite[] {
    return this.#parts.filter(({ type }) => type !== 'check').map(({ key, value }) => ({ key, value }));
  }

  #toBatch(client: Caller): AtomicBatch {
    const operations = this.#parts.map(({ key, type, value, expected }): AtomicOperation => {
      const common = {
        key: this.#workload.keyBytes(key),
        condition: expected === undefined ? ({ type: 'none' } as const) : this.#workload.toCondition(key, expected),
      };
      return value === null || type !== 'put'
        ? { type: type === 'check' ? 'check' : 'delete', ...common }
        : { type, value: this.#workload.valueBytes(value), ...common };
    });
    return { type: 'atomicBatch', operations, requestId: { session: client.session, seq: client.nextSeq() } };
  }

  #answered(answer: Answer): void {
    const { seen, recorder, cluster, counts } = this.#workload;
    if (answer.type === 'written') {
      counts.atomicBatches++;
      for (const { write, read, expected } of this.#parts) {
        if (write !== undefined) recorder.return(write, { type: 'done' });
        if (read === undefined || expected === undefined) continue;
        // Where there is a write, it says as much.
        if (write === undefined) recorder.return(read, { type: 'value', value: expected });
        else recorder.notApplied(read);
      }
      const span = { calledMs: this.#calledMs, returnedMs: cluster.scheduler.nowMs };
      seen.wrote(this.#writes, answer.version, span);
    } else if (answer.type === 'conditionsFailed') {
      counts.atomicBatchesRefused++;
      this.#refused(answer.failures);
    } else {
      seen.violated(`an atomic batch was answered with ${answer.type}`);
    }
    this.#onEnd(true);
  }

  #refused(failures: readonly FailedCondition[]): void {
    const { recorder, seen } = this.#workload;
    const failed = new Map(failures.map(({ index, current }) => [index, current]));
    this.#parts.forEach(({ key, write, read, expected }, index) => {
      if (write !== undefined) recorder.notApplied(write);
      if (read === undefined || expected === undefined) return;
      const current = failed.get(index);
      if (!failed.has(index)) recorder.return(read, { type: 'value', value: expected });
      else if (current === undefined) recorder.return(read, { type: 'value', value: null });
      else if (current.value === undefined) seen.violated(`a refusal of ${key} leaves out a short value`);
      else {
        const value = this.#workload.valueOf(current.value);
        if (value === expected) seen.violated(`${key} has ${value}, as the batch expected that it was refused for`);
        recorder.return(read, { type: 'value', value });
        seen.saw({ key, version: current.version, value });
      }
    });
  }

  #notApplied(): void {
    this.#discard();
    this.#onEnd(true);
  }

  #unknown(): void {
    const { recorder, seen } = this.#workload;
    for (const { key, type, write, read } of this.#parts) {
      if (write !== undefined) recorder.unknown(write);
      if (read !== undefined) recorder.notApplied(read);
      if (type === 'delete') seen.mayHaveDeleted(key, this.#calledMs);
    }
    this.#onEnd(false);
  }

  #discard(): void {
    const { recorder } = this.#workload;
    for (const { write, read } of this.#parts) {
      if (write !== undefined) recorder.notApplied(write);
      if (read !== undefined) recorder.notApplied(read);
    }
  }
}

/** As many neighbours as the limits of the run allow. */
function drawKeys({ random, keys, cluster, valueBytes }: Workload): readonly string[] {
  const { batchOperationsMax, entryBytesMax } = cluster.limits;
  const put = { type: 'put', key: new Uint8Array(8), value: valueBytes('v'), condition: { type: 'none' } } as const;
  const bytesOf = (count: number): number =>
    entryBytes({
      type: 'atomicBatch',
      operations: Array.from({ length: count }, () => put),
      requestId: { session: new Uint8Array(16), seq: 0 },
    });
  let count = Math.min(keysMax, batchOperationsMax, keys.length);
  while (count > 1 && bytesOf(count) > entryBytesMax) count--;
  const first = random.int(0, keys.length - count);
  return random.shuffle(keys.slice(first, first + count));
}

function drawPart(workload: Workload, client: number, key: string): Part {
  const { random, recorder, seen } = workload;
  const type = random.pick(['put', 'put', 'put', 'delete', 'check'] as const);
  const value = type === 'put' ? workload.drawValue() : null;
  const isConditional = type === 'check' || random.chance(0.3);
  // What is there as far as is known, mostly; else the batch would hardly ever take effect.
  const known = seen.versions(key).at(-1)?.value ?? null;
  const expected = isConditional ? (random.chance(0.8) ? known : null) : undefined;
  const read = isConditional ? recorder.call({ client, key, input: { type: 'read' } }) : undefined;
  const write = type === 'check' ? undefined : recorder.call({ client, key, input: inputOf(value, expected) });
  return { key, type, value, expected, write, read };
}

function inputOf(value: RegisterValue, expected: RegisterValue | undefined): RegisterInput {
  if (expected !== undefined) return { type: 'cas', expected, value };
  return value === null ? { type: 'delete' } : { type: 'write', value };
}
