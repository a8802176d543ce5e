import type { PendingOperation } from './pending-operation.js';

/** Of an operation in a message, besides its own bytes, at most: tags and lengths, id, timeout, and what its writer reserves. */
const operationOverheadBytes = 48;

/** At most. */
export function bytesInMessage({ bytes }: PendingOperation): number {
  return bytes.length + operationOverheadBytes;
}

export interface MessageRoom {
  /** Operations that the node may get on top of those that it has. */
  readonly places: number;
  /** In the message, those of atomic batches counted. */
  readonly operationsMax: number;
  readonly bytesMax: number;
}

export interface NextMessage {
  readonly operations: readonly PendingOperation[];
  /** What it takes, at most. */
  readonly bytes: number;
}

/**
 * Operations that wait to be sent to one node, in order. While the node takes nothing, operations reach their deadlines
 * here and others come: those that are settled are removed all at once, when they are more than those that wait. So it
 * never holds more than twice what waits, and an operation that is settled costs no search.
 */
export class OperationQueue {
  #operations: PendingOperation[] = [];
  /** Of those. */
  #settled = 0;

  /** How many wait. */
  get waiting(): number {
    return this.#operations.length - this.#settled;
  }

  /** How many it holds, settled ones too. */
  get length(): number {
    return this.#operations.length;
  }

  push(operation: PendingOperation): void {
    this.#operations.push(operation);
  }

  /** One of its operations was settled. */
  letGo(): void {
    this.#settled++;
    if (this.#settled > this.waiting) this.#operations = this.takeAll();
  }

  /** The operations of one message, at least one if there are places: one that has no room in any message goes alone. */
  take({ places, operationsMax, bytesMax }: MessageRoom): NextMessage {
    const operations: PendingOperation[] = [];
    let count = 0;
    let bytes = 0;
    let end = 0;
    for (; end < this.#operations.length && operations.length < places; end++) {
      const operation = this.#operations[end];
      if (operation.state.type === 'settled') {
        this.#settled--;
        continue;
      }
      const size = bytesInMessage(operation);
      const fits = count + operation.count <= operationsMax && bytes + size <= bytesMax;
      if (!fits && operations.length > 0) break;
      operations.push(operation);
      count += operation.count;
      bytes += size;
    }
    this.#operations.splice(0, end);
    return { operations, bytes };
  }

  /** All that wait. */
  takeAll(): PendingOperation[] {
    const waiting = this.#operations.filter(({ state }) => state.type !== 'settled');
    this.#operations = [];
    this.#settled = 0;
    return waiting;
  }
}
