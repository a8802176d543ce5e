import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp } from '../../src/base/ids.js';
import { Evaluator, type Evaluated } from '../../src/mvcc/evaluator.js';
import type {
  AtomicBatch,
  AtomicOperation,
  Condition,
  KeyWrite,
  OperationResult,
  RequestId,
  WriteOperation,
} from '../../src/mvcc/operations.js';
import { StateMachine } from '../../src/mvcc/state-machine.js';
import { NaiveEngine } from './naive-engine.js';

export const none: Condition = { type: 'none' };
const session = new Uint8Array(16).fill(7);
let seqs = 0;
export const nextId = (): RequestId => ({ session, seq: seqs++ });

export function put(key: string, value: string, condition = none, requestId = nextId()): KeyWrite {
  return { type: 'put', key: utf8(key), value: utf8(value), condition, requestId };
}

export function del(key: string, condition = none, requestId = nextId()): KeyWrite {
  return { type: 'delete', key: utf8(key), condition, requestId };
}

/** The writes' own request ids do not count. A check is `[key, condition]`. */
export function batch(
  writes: readonly (KeyWrite | readonly [key: string, condition: Condition])[],
  requestId = nextId(),
): AtomicBatch {
  const operations = writes.map((write): AtomicOperation => {
    if (!('type' in write)) return { type: 'check', key: utf8(write[0]), condition: write[1] };
    const { type, key, condition } = write;
    return type === 'put' ? { type, key, value: write.value, condition } : { type, key, condition };
  });
  return { type: 'atomicBatch', operations, requestId };
}

/** One leader, whose entries are applied when the test says so. */
export class Leader {
  readonly engine = new NaiveEngine();
  readonly evaluator: Evaluator;
  readonly #proposed: Evaluated[] = [];
  #machine: StateMachine | undefined;
  clock = 1000;

  constructor(requestIdRetentionMs = 60_000) {
    this.evaluator = new Evaluator(this.engine, { requestIdRetentionMs });
  }

  async machine(): Promise<StateMachine> {
    this.#machine ??= await StateMachine.create(this.engine, utf8('shard'), { retention: 60_000_000 });
    return this.#machine;
  }

  /** Evaluates, and leaves the entry in flight. */
  async propose(...operations: WriteOperation[]): Promise<readonly OperationResult[]> {
    await this.machine();
    const evaluated = this.evaluator.evaluate(
      operations,
      await this.evaluator.prepare(operations),
      Timestamp(this.clock),
    );
    this.clock += operations.length;
    if (evaluated.batch !== undefined) this.#proposed.push(evaluated);
    return evaluated.results;
  }

  /** Entries that were proposed and not applied. */
  get proposed(): readonly Evaluated[] {
    return this.#proposed;
  }

  /** What was in flight is lost with the leadership. */
  lose(): void {
    this.#proposed.length = 0;
    this.evaluator.reset();
  }

  async applyAll(): Promise<void> {
    const machine = await this.machine();
    for (const { batch, ticket } of this.#proposed.splice(0)) {
      if (batch === undefined) continue;
      machine.apply(LogIndex(machine.appliedIndex + 1), batch);
      this.evaluator.applied(ticket);
    }
  }

  async execute(operation: WriteOperation): Promise<OperationResult> {
    const [result] = await this.propose(operation);
    await this.applyAll();
    return result;
  }
}
