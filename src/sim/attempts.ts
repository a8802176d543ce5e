import type { QuorateError } from '../base/errors.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import type { Workload } from './workload.js';

/** What a node gives an operation. */
export const operationMsMax = 2000;
/** A client that has no answer by then (its node died) gives up: the outcome stays unknown. */
export const patienceMs = operationMsMax + 500;
const triesMax = 6;
/** Errors that no fault of a run explains. */
const bugCodes: ReadonlySet<string> = new Set(['INTERNAL', 'CORRUPTION', 'INVALID_ARGUMENT']);

/** Who makes a call: its place in the history, and the session and number of its request. */
export interface Caller {
  readonly id: number;
  readonly session: Uint8Array;
  nextSeq(): number;
}

export type Answer = Exclude<OperationResult, { type: 'failed' }>;

/** How an operation ended: one of these is called, once. */
export interface Endings {
  answered(answer: Answer): void;
  notApplied(): void;
  unknown(): void;
}

/**
 * The tries of one operation. A write whose outcome is unknown is sometimes sent again with the same request id, to
 * another node: it must not apply twice. One that was answered is sometimes sent again, too: the answer must be the
 * same.
 */
export class Attempts {
  readonly #workload: Workload;
  readonly #clientId: number;
  readonly #operation: Operation;
  /** For messages. */
  readonly #name: string;
  readonly #endings: Endings;

  constructor(workload: Workload, clientId: number, operation: Operation, name: string, endings: Endings) {
    this.#workload = workload;
    this.#clientId = clientId;
    this.#operation = operation;
    this.#name = name;
    this.#endings = endings;
  }

  send(node: number, triesBefore = 0): void {
    const { cluster } = this.#workload;
    let ended = false;
    const end = (result: OperationResult | undefined): void => {
      if (ended) return;
      ended = true;
      this.#ended(result, triesBefore);
    };
    if (!cluster.submit(node, this.#operation, operationMsMax, end)) {
      // Nobody took it. That says something only about this try.
      if (triesBefore === 0) this.#notApplied();
      else this.#unknown();
      return;
    }
    cluster.scheduler.schedule(patienceMs, `client ${this.#clientId} gives up`, () => end(undefined));
  }

  #ended(result: OperationResult | undefined, triesBefore: number): void {
    const { random, counts } = this.#workload;
    if (result?.type === 'failed') this.#refused(result.error);
    if (result !== undefined && result.type !== 'failed') {
      this.#answered(result);
    } else if (result?.error.outcome === 'notApplied' && triesBefore === 0) {
      this.#notApplied();
    } else if (this.#operation.type !== 'get' && triesBefore + 1 < triesMax && random.chance(0.5)) {
      counts.sentAgain++;
      this.send(this.#workload.drawNode(), triesBefore + 1);
    } else {
      this.#unknown();
    }
  }

  #refused({ code, message }: QuorateError): void {
    const { cluster, seen } = this.#workload;
    cluster.coverage.refused(code);
    const isDamageTold = code === 'CORRUPTION' && cluster.machines.some(({ isSuspect }) => isSuspect);
    if (bugCodes.has(code) && !isDamageTold) seen.violated(`${this.#name}: ${message}`);
  }

  #answered(answer: Answer): void {
    const { counts, random } = this.#workload;
    counts.done++;
    if (this.#operation.type !== 'get' && random.chance(0.05)) this.#sendDuplicate(answer);
    this.#endings.answered(answer);
  }

  #notApplied(): void {
    this.#workload.counts.notApplied++;
    this.#endings.notApplied();
  }

  #unknown(): void {
    this.#workload.counts.unknown++;
    this.#endings.unknown();
  }

  /** Within the time for which request ids are kept, whoever gets it gives the answer that was given. */
  #sendDuplicate(answer: Answer): void {
    const { cluster, counts, seen } = this.#workload;
    const isTaken = cluster.submit(this.#workload.drawNode(), this.#operation, operationMsMax, (again) => {
      if (again.type === 'failed' || describeAnswer(again) === describeAnswer(answer)) return;
      const told = `${describeAnswer(answer)} and then ${describeAnswer(again)}`;
      seen.violated(`one ${this.#name} was answered with ${told}`);
    });
    if (isTaken) counts.duplicates++;
  }
}

function describeAnswer(answer: Answer): string {
  switch (answer.type) {
    case 'found':
    case 'written':
      return `${answer.type} at ${answer.version}`;
    case 'conditionFailed':
      return `conditionFailed by ${answer.current?.version ?? 'absence'}`;
    case 'conditionsFailed': {
      const met = answer.failures.map(({ index, current }) => `${index} by ${current?.version ?? 'absence'}`);
      return `conditionsFailed, ${met.join(', ')}`;
    }
    case 'absent':
    case 'nothingDeleted':
      return answer.type;
  }
}
