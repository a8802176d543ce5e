/** The public face of the TypeScript client: `import { connect } from 'quorate'`. */
export { connect, type Client } from './client.js';
export type { ClientOptions } from './options.js';
export type {
  AtomicBatchOptions,
  AtomicBatchResult,
  AtomicOperation,
  BatchOperation,
  BatchResult,
  Bytes,
  CallOptions,
  DeleteResult,
  GetResult,
  PutResult,
  ReadOptions,
  RequestId,
  ScanOptions,
  ScanPage,
  ScanRecord,
  WriteConditions,
  WriteOptions,
} from './types.js';
export { QuorateError, type ErrorCode, type Outcome } from '../base/errors.js';
export type { ReplicaNodes } from './change-replicas.js';
export type { ClusterStatus, NodeStatus, ReplicaStatus, ShardMapView, ShardStatus } from '../rpc/backend.js';
export type { FailedCondition, VersionedValue } from '../rpc/public-types.js';
