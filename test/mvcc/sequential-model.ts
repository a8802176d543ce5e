/** What a shard must do, written down as plainly as possible: one operation after the other, in plain maps. */
import { mapKey, toHex } from '../../src/base/bytes.js';
import type { Timestamp } from '../../src/base/ids.js';
import type {
  AtomicBatch,
  AtomicOperation,
  KeyWrite,
  OperationResult,
  RequestId,
  VersionedValue,
  WriteOperation,
} from '../../src/mvcc/operations.js';

interface ModelVersion {
  readonly version: Timestamp;
  /** Undefined: deleted. */
  readonly value: string | undefined;
}

interface ModelRequest {
  readonly version: Timestamp;
  readonly operation: string;
  readonly result: PlainResult;
}

interface PlainValue {
  readonly version: number;
  readonly value: string;
}

/** A result in a form that can be compared: byte strings as text, errors by code. */
export type PlainResult =
  | { readonly type: 'written'; readonly version: number }
  | { readonly type: 'nothingDeleted' }
  | { readonly type: 'conditionFailed'; readonly current: PlainValue | undefined }
  | {
      readonly type: 'conditionsFailed';
      readonly failures: readonly { index: number; current?: PlainValue | undefined }[];
    }
  | { readonly type: 'failed'; readonly code: string };

export function plain(result: OperationResult): PlainResult {
  switch (result.type) {
    case 'written':
    case 'nothingDeleted':
      return result;
    case 'conditionFailed':
      return { type: 'conditionFailed', current: plainValue(result.current) };
    case 'conditionsFailed': {
      const failures = result.failures.map(({ index, current }) => {
        const { version, value } = current ?? {};
        return { index, current: version && value && { version, value: mapKey(value) } };
      });
      return { type: 'conditionsFailed', failures };
    }
    case 'failed':
      return { type: 'failed', code: result.error.code };
    default:
      throw new Error(`not the result of a write: ${result.type}`);
  }
}

function nameOf(id: RequestId): string {
  return `${toHex(id.session)}/${id.seq}`;
}

function describe(operation: WriteOperation | AtomicOperation): string {
  if (operation.type === 'atomicBatch') return operation.operations.map(describe).join('; ');
  const { type, condition } = operation;
  const value = operation.type === 'put' ? toHex(operation.value) : '';
  const operand =
    condition.type === 'versionEquals'
      ? condition.version
      : condition.type === 'valueEquals'
        ? toHex(condition.value)
        : '';
  return [type, toHex(operation.key), value, condition.type, operand].join(' ');
}

export class SequentialModel {
  /** All versions of each key, oldest first. */
  readonly versions = new Map<string, ModelVersion[]>();
  readonly requests = new Map<string, ModelRequest>();
  lastVersion = 0;

  clone(): SequentialModel {
    const copy = new SequentialModel();
    for (const [key, versions] of this.versions) copy.versions.set(key, [...versions]);
    for (const [name, request] of this.requests) copy.requests.set(name, request);
    copy.lastVersion = this.lastVersion;
    return copy;
  }

  read(key: string, at: number): { version: Timestamp; value: string } | undefined {
    const newest = (this.versions.get(key) ?? []).filter(({ version }) => version <= at).at(-1);
    if (newest === undefined || newest.value === undefined) return undefined;
    return { version: newest.version, value: newest.value };
  }

  execute(operation: WriteOperation, version: Timestamp): PlainResult {
    const name = nameOf(operation.requestId);
    const request = this.requests.get(name);
    if (request !== undefined) {
      if (request.operation === describe(operation)) return request.result;
      return { type: 'failed', code: 'INVALID_ARGUMENT' };
    }
    if (version <= this.lastVersion) return { type: 'failed', code: 'TIMESTAMP_UNAVAILABLE' };
    this.lastVersion = version;
    const result = this.#evaluate(operation, version);
    this.requests.set(name, { version, operation: describe(operation), result });
    return result;
  }

  /** Whether the operation's condition is true now. */
  #holds({ key, condition }: KeyWrite | AtomicOperation): boolean {
    const current = this.read(mapKey(key), Infinity);
    return (
      condition.type === 'none' ||
      (condition.type === 'absent' && current === undefined) ||
      (condition.type === 'versionEquals' && current?.version === condition.version) ||
      (condition.type === 'valueEquals' && current?.value === mapKey(condition.value))
    );
  }

  /** Whether the operation was refused before, and would not be now if that were not remembered. */
  isRefusedStill(operation: WriteOperation): boolean {
    const request = this.requests.get(nameOf(operation.requestId));
    const wasRefused = request?.result.type === 'conditionFailed' || request?.result.type === 'conditionsFailed';
    if (!wasRefused || request.operation !== describe(operation)) return false;
    const all = operation.type === 'atomicBatch' ? operation.operations : [operation];
    return all.every((each) => this.#holds(each));
  }

  /** What an operation does, whatever was asked before. */
  #evaluate(operation: WriteOperation, version: Timestamp): PlainResult {
    if (operation.type === 'atomicBatch') return this.#evaluateBatch(operation, version);
    const current = this.read(mapKey(operation.key), Infinity);
    if (!this.#holds(operation)) return { type: 'conditionFailed', current };
    if (operation.type === 'delete' && current === undefined) return { type: 'nothingDeleted' };
    this.#change(operation, version);
    return { type: 'written', version };
  }

  #evaluateBatch({ operations }: AtomicBatch, version: Timestamp): PlainResult {
    const failures = operations.flatMap((operation, index) => {
      return this.#holds(operation) ? [] : [{ index, current: this.read(mapKey(operation.key), Infinity) }];
    });
    if (failures.length > 0) return { type: 'conditionsFailed', failures };
    for (const operation of operations) if (operation.type !== 'check') this.#change(operation, version);
    return { type: 'written', version };
  }

  #change(operation: KeyWrite | AtomicOperation, version: Timestamp): void {
    const key = mapKey(operation.key);
    const value = operation.type === 'put' ? mapKey(operation.value) : undefined;
    this.versions.set(key, [...(this.versions.get(key) ?? []), { version, value }]);
  }
}

export function plainValue(found: VersionedValue | undefined): { version: Timestamp; value: string } | undefined {
  return found && { version: found.version, value: mapKey(found.value) };
}
