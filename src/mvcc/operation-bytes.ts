/** How many bytes operations take, in memory and in an entry. */
import type { AtomicOperation, KeyWrite, Operation, OperationResult, WriteOperation } from './operations.js';

/**
 * Bytes that a write takes in an entry besides its key and value, at most: a whole bucket of request records, its place in the
 * entry by time, and what deletes expired ones; the header of the entry's batch is included.
 */
export const operationOverheadBytesMax = 768;

/** The same, for each operation of an atomic batch. The batch itself takes as much as a single write besides. */
const atomicOverheadBytesMax = 24;

/** What the operations of an atomic batch take in memory, each, besides their bytes: a small one is mostly this. */
const atomicMemoryBytes = 256;

/** Bytes that an operation's caller sent: keys, values, and the values of conditions. */
export function payloadBytes(operation: Operation): number {
  if (operation.type === 'get') return operation.key.length;
  if (operation.type !== 'atomicBatch') return writeBytes(operation) + conditionBytes(operation);
  let bytes = 0;
  for (const each of operation.operations) bytes += writeBytes(each) + conditionBytes(each) + atomicMemoryBytes;
  return bytes;
}

/** Bytes that a write takes in an entry, at most. */
export function entryBytes(operation: WriteOperation): number {
  if (operation.type !== 'atomicBatch') return writeBytes(operation) + operationOverheadBytesMax;
  let bytes = operationOverheadBytesMax;
  for (const each of operation.operations) bytes += writeBytes(each) + atomicOverheadBytesMax;
  return bytes;
}

/** At least as many bytes as the result takes in a message, errors apart. */
export function resultBytes(result: OperationResult): number {
  const overhead = 64;
  switch (result.type) {
    case 'found':
      return result.value.length + overhead;
    case 'conditionFailed':
      return (result.current?.value.length ?? 0) + overhead;
    case 'conditionsFailed':
      return result.failures.reduce((sum, { current }) => sum + (current?.value?.length ?? 0) + overhead, overhead);
    default:
      return overhead;
  }
}

function writeBytes(operation: KeyWrite | AtomicOperation): number {
  return operation.key.length + (operation.type === 'put' ? operation.value.length : 0);
}

function conditionBytes({ condition }: KeyWrite | AtomicOperation): number {
  return condition.type === 'valueEquals' ? condition.value.length : 0;
}
