/** What clients meet of the state machine. */
export { routingKey } from '../mvcc/operations.js';
export type {
  AtomicBatch,
  FailedCondition,
  Operation,
  OperationResult,
  RequestId,
  VersionedValue,
} from '../mvcc/operations.js';
