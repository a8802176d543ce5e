/** Types of the state machine that clients meet. */
export type { Operation, OperationResult, RequestId, VersionedValue } from '../mvcc/operations.js';
