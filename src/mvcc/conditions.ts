import { unreachable } from '../base/assert.js';
import { equalBytes } from '../base/bytes.js';
import type { AtomicOperation, Condition, KeyWrite, OperationResult, VersionedValue } from './operations.js';

/** What a write does to the state that it meets; where it changes nothing, that is its result. */
export type Decision =
  | { readonly type: 'write' }
  | { readonly type: 'nothingDeleted' }
  | { readonly type: 'conditionFailed'; readonly current: VersionedValue | undefined };

/** Decides about a write whose request id is new. `current` is what the key has, undefined when it is absent. */
export function decideWrite(operation: KeyWrite, current: VersionedValue | undefined): Decision {
  if (!conditionHolds(operation.condition, current)) return { type: 'conditionFailed', current };
  if (operation.type === 'delete' && current === undefined) return { type: 'nothingDeleted' };
  return { type: 'write' };
}

/** Whether {@link decideWrite} looks at `current`: a put without a condition is decided without a read. */
export function needsCurrent(operation: KeyWrite): boolean {
  return operation.type === 'delete' || operation.condition.type !== 'none';
}

/** A condition of an atomic batch that does not hold, and the whole of what it met. */
export interface UnmetCondition {
  readonly index: number;
  readonly current: VersionedValue | undefined;
}

/** Those of an atomic batch's conditions that do not hold. `currentOf` is asked for keys with a condition only. */
export function unmetConditions(
  operations: readonly AtomicOperation[],
  currentOf: (index: number) => VersionedValue | undefined,
): readonly UnmetCondition[] {
  const unmet: UnmetCondition[] = [];
  for (let index = 0; index < operations.length; index++) {
    const { condition } = operations[index];
    if (condition.type === 'none') continue;
    const current = currentOf(index);
    if (!conditionHolds(condition, current)) unmet.push({ index, current });
  }
  return unmet;
}

/** Bytes of values in the answer to a batch whose conditions failed; the first value is told however long it is. */
const toldBytesMax = 1024 * 1024;

/** The answer to a batch of which these conditions do not hold. */
export function conditionsFailed(unmet: readonly UnmetCondition[]): OperationResult {
  let bytes = 0;
  const failures = unmet.map(({ index, current }) => {
    if (current === undefined) return { index, current };
    const isTold = bytes === 0 || bytes + current.value.length <= toldBytesMax;
    bytes += current.value.length;
    return { index, current: isTold ? current : { version: current.version, value: undefined } };
  });
  return { type: 'conditionsFailed', failures };
}

function conditionHolds(condition: Condition, current: VersionedValue | undefined): boolean {
  switch (condition.type) {
    case 'none':
      return true;
    case 'absent':
      return current === undefined;
    case 'versionEquals':
      return current !== undefined && current.version === condition.version;
    case 'valueEquals':
      return current !== undefined && equalBytes(current.value, condition.value);
    default:
      return unreachable(condition);
  }
}
