import { AssertionError } from '../base/assert.js';
import type { Condition, Operation, RequestId } from '../mvcc/operations.js';
import type { OpenOperation } from '../../jepsen-lite/checker/history.js';
import type { RegisterInput, RegisterOutput } from '../../jepsen-lite/checker/models/register-operation.js';
import { Attempts, type Answer, type Caller } from './attempts.js';
import type { Workload } from './workload.js';

/** One operation on one register. */
export class RegisterCall {
  readonly #workload: Workload;
  readonly #key: string;
  readonly #input: RegisterInput;
  readonly #operation: Operation;
  readonly #attempts: Attempts;
  readonly #handle: OpenOperation;
  readonly #calledMs: number;
  /** Called once: whether the outcome is known. */
  readonly #onEnd: (isKnown: boolean) => void;

  constructor(workload: Workload, client: Caller, key: string, onEnd: (isKnown: boolean) => void) {
    this.#workload = workload;
    this.#key = key;
    this.#input = workload.drawInput();
    this.#operation = this.#toOperation({ session: client.session, seq: client.nextSeq() });
    this.#attempts = new Attempts(workload, client.id, this.#operation, `${this.#operation.type} of ${key}`, {
      answered: (answer) => this.#answered(answer),
      notApplied: () => this.#notApplied(),
      unknown: () => this.#unknown(),
    });
    this.#handle = workload.recorder.call({ client: client.id, key, input: this.#input });
    this.#calledMs = workload.cluster.scheduler.nowMs;
    this.#onEnd = onEnd;
  }

  send(node: number): void {
    this.#attempts.send(node);
  }

  #answered(answer: Answer): void {
    this.#workload.recorder.return(this.#handle, this.#toOutput(answer));
    this.#observe(answer);
    this.#onEnd(true);
  }

  #notApplied(): void {
    this.#workload.recorder.notApplied(this.#handle);
    this.#onEnd(true);
  }

  #unknown(): void {
    const { recorder, seen } = this.#workload;
    recorder.unknown(this.#handle);
    if (this.#operation.type === 'delete') seen.mayHaveDeleted(this.#key, this.#calledMs);
    this.#onEnd(false);
  }

  #observe(answer: Answer): void {
    const { seen, cluster } = this.#workload;
    if (answer.type === 'written') {
      const span = { calledMs: this.#calledMs, returnedMs: cluster.scheduler.nowMs };
      const value = 'value' in this.#input ? this.#input.value : null;
      seen.wrote([{ key: this.#key, value }], answer.version, span);
      return;
    }
    const shown = answer.type === 'found' ? answer : answer.type === 'conditionFailed' ? answer.current : undefined;
    if (shown === undefined) return;
    seen.saw({ key: this.#key, version: shown.version, value: this.#workload.valueOf(shown.value) });
  }

  #toOperation(requestId: RequestId): Operation {
    const key = this.#workload.keyBytes(this.#key);
    const input = this.#input;
    if (input.type === 'read') return { type: 'get', key, consistency: 'linearizable' };
    const condition: Condition =
      input.type === 'cas' ? this.#workload.toCondition(this.#key, input.expected) : { type: 'none' };
    const value = input.type === 'delete' ? null : input.value;
    if (value === null) return { type: 'delete', key, condition, requestId };
    return { type: 'put', key, value: this.#workload.valueBytes(value), condition, requestId };
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
