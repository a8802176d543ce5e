import { AssertionError } from '../base/assert.js';
import type { QuorateError } from '../base/errors.js';
import { Timestamp } from '../base/ids.js';
import type { Condition, Operation, OperationResult, RequestId } from '../mvcc/operations.js';
import type { OpenOperation } from '../../jepsen-lite/checker/history.js';
import type { RegisterInput, RegisterOutput } from '../../jepsen-lite/checker/models/register-operation.js';
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

type Answer = Exclude<OperationResult, { type: 'failed' }>;

/**
 * One operation on one register. A write whose outcome is unknown is sometimes sent again with the same request id, to
 * another node: it must not apply twice. One that was answered is sometimes sent again, too: the answer must be the
 * same.
 */
export class RegisterCall {
  readonly #workload: Workload;
  readonly #clientId: number;
  readonly #key: string;
  readonly #input: RegisterInput;
  readonly #operation: Operation;
  readonly #handle: OpenOperation;
  readonly #calledMs: number;
  /** Called once: whether the outcome is known. */
  readonly #onEnd: (isKnown: boolean) => void;

  constructor(workload: Workload, client: Caller, key: string, onEnd: (isKnown: boolean) => void) {
    this.#workload = workload;
    this.#clientId = client.id;
    this.#key = key;
    this.#input = workload.drawInput();
    this.#operation = this.#toOperation({ session: client.session, seq: client.nextSeq() });
    this.#handle = workload.recorder.call({ client: client.id, key, input: this.#input });
    this.#calledMs = workload.cluster.scheduler.nowMs;
    this.#onEnd = onEnd;
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
    if (bugCodes.has(code) && !isDamageTold) seen.violated(`${this.#operation.type} of ${this.#key}: ${message}`);
  }

  #answered(answer: Answer): void {
    const { counts, recorder, random } = this.#workload;
    counts.done++;
    recorder.return(this.#handle, this.#toOutput(answer));
    this.#observe(answer);
    if (this.#operation.type !== 'get' && random.chance(0.05)) this.#sendDuplicate(answer);
    this.#onEnd(true);
  }

  #notApplied(): void {
    this.#workload.counts.notApplied++;
    this.#workload.recorder.notApplied(this.#handle);
    this.#onEnd(true);
  }

  #unknown(): void {
    const { counts, recorder, seen } = this.#workload;
    counts.unknown++;
    recorder.unknown(this.#handle);
    if (this.#operation.type === 'delete') seen.mayHaveDeleted(this.#key, this.#calledMs);
    this.#onEnd(false);
  }

  #observe(answer: Answer): void {
    const { seen, cluster } = this.#workload;
    if (answer.type === 'written') {
      const span = { calledMs: this.#calledMs, returnedMs: cluster.scheduler.nowMs };
      const value = 'value' in this.#input ? this.#input.value : null;
      seen.wrote(this.#key, value, answer.version, span);
      return;
    }
    const shown = answer.type === 'found' ? answer : answer.type === 'conditionFailed' ? answer.current : undefined;
    if (shown === undefined) return;
    seen.saw({ key: this.#key, version: shown.version, value: this.#workload.valueOf(shown.value) });
  }

  /** Within the time for which request ids are kept, whoever gets it gives the answer that was given. */
  #sendDuplicate(answer: Answer): void {
    const { cluster, counts, seen } = this.#workload;
    const isTaken = cluster.submit(this.#workload.drawNode(), this.#operation, operationMsMax, (again) => {
      if (again.type === 'failed' || describeAnswer(again) === describeAnswer(answer)) return;
      const told = `${describeAnswer(answer)} and then ${describeAnswer(again)}`;
      seen.violated(`one ${this.#operation.type} of ${this.#key} was answered with ${told}`);
    });
    if (isTaken) counts.duplicates++;
  }

  #toOperation(requestId: RequestId): Operation {
    const key = this.#workload.keyBytes(this.#key);
    const input = this.#input;
    if (input.type === 'read') return { type: 'get', key, consistency: 'linearizable' };
    const condition: Condition = input.type === 'cas' ? this.#toCondition(input.expected) : { type: 'none' };
    const value = input.type === 'delete' ? null : input.value;
    if (value === null) return { type: 'delete', key, condition, requestId };
    return { type: 'put', key, value: this.#workload.valueBytes(value), condition, requestId };
  }

  /** A value is written once, so its version names it as well as its bytes. */
  #toCondition(expected: string | null): Condition {
    if (expected === null) return { type: 'absent' };
    const version = this.#workload.seen.versionOf(expected);
    if (version !== undefined && this.#workload.random.chance(0.5))
      return { type: 'versionEquals', version: Timestamp(version) };
    return { type: 'valueEquals', value: this.#workload.valueBytes(expected) };
  }

  #toOutput(answer: Answer): RegisterOutput {
    switch (answer.type) {
      case 'found':
        return { type: 'value', value: this.#workload.valueOf(answer.value) };
      case 'absent':
        return { type: 'value', value: null };
      case 'written':
        return { type: 'done' };
      case 'nothingDeleted':
        return { type: 'nothingDeleted' };
      case 'conditionFailed':
        return {
          type: 'refused',
          current: answer.current === undefined ? null : this.#workload.valueOf(answer.current.value),
        };
      case 'conditionsFailed':
        throw new AssertionError(`${this.#operation.type} of one key was answered as a batch`);
    }
  }
}

function describeAnswer(answer: Answer): string {
  switch (answer.type) {
    case 'found':
    case 'written':
      return `${answer.type} at ${answer.version}`;
    case 'conditionFailed':
      return `conditionFailed by ${answer.current?.version ?? 'absence'}`;
    case 'absent':
    case 'nothingDeleted':
    case 'conditionsFailed':
      return answer.type;
  }
}
