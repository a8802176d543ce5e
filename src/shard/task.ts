import type { Operation, OperationResult } from '../mvcc/operations.js';

/**
 * One operation on its way. `settle` is called exactly once, unless the task was abandoned; whoever gave up on it
 * before sets `abandoned`, and unless it has begun it then never takes effect. `begun` is set before a write is
 * evaluated: from then on its outcome is not known until it is settled.
 */
export interface Task<Op extends Operation = Operation> {
  readonly operation: Op;
  readonly settle: (result: OperationResult) => void;
  abandoned: boolean;
  begun: boolean;
}
