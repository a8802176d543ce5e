import { unreachable } from '../base/assert.js';
import { equalBytes } from '../base/bytes.js';
import type { Condition, VersionedValue, WriteOperation } from './operations.js';

/** What a write does to the state that it meets; where it changes nothing, that is its result. */
export type Decision =
  | { readonly type: 'write' }
  | { readonly type: 'nothingDeleted' }
  | { readonly type: 'conditionFailed'; readonly current: VersionedValue | undefined };

/** Decides about a write whose request id is new. `current` is what the key has, undefined when it is absent. */
export function decideWrite(operation: WriteOperation, current: VersionedValue | undefined): Decision {
  if (!conditionHolds(operation.condition, current)) return { type: 'conditionFailed', current };
  if (operation.type === 'delete' && current === undefined) return { type: 'nothingDeleted' };
  return { type: 'write' };
}

/** Whether {@link decideWrite} looks at `current`: a put without a condition is decided without a read. */
export function needsCurrent(operation: WriteOperation): boolean {
  return operation.type === 'delete' || operation.condition.type !== 'none';
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
