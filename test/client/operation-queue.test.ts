import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { OperationQueue, type MessageRoom } from '../../src/client/operation-queue.js';
import { PendingOperation } from '../../src/client/pending-operation.js';

const room: MessageRoom = { places: Infinity, operationsMax: Infinity, bytesMax: Infinity };
const requestId = { session: new Uint8Array(16), seq: 1 };

function put(valueBytes = 0): PendingOperation {
  const value = new Uint8Array(valueBytes);
  const operation = { type: 'put', key: utf8('k'), value, condition: { type: 'none' }, requestId } as const;
  return new PendingOperation(operation, { startMs: 0, deadlineMs: 1 }, () => undefined);
}

function batch(count: number): PendingOperation {
  const one = { type: 'delete', key: utf8('k'), condition: { type: 'none' } } as const;
  const operation = { type: 'atomicBatch', operations: Array.from({ length: count }, () => one), requestId } as const;
  return new PendingOperation(operation, { startMs: 0, deadlineMs: 1 }, () => undefined);
}

function queueOf(operations: readonly PendingOperation[]): OperationQueue {
  const queue = new OperationQueue();
  for (const operation of operations) queue.push(operation);
  return queue;
}

function settle(queue: OperationQueue, operation: PendingOperation): void {
  operation.settle({ type: 'absent' });
  queue.letGo();
}

describe('the queue of a connection', () => {
  it.each<[string, Partial<MessageRoom>, number[]]>([
    ['all in one message', {}, [6]],
    ['as many as there are places', { places: 4 }, [4, 2]],
    ['as many operations as a message has', { operationsMax: 2 }, [2, 2, 2]],
    ['as many bytes', { bytesMax: 450 }, [2, 2, 2]],
    ['each alone where none has room', { bytesMax: 1, operationsMax: 0 }, [1, 1, 1, 1, 1, 1]],
  ])('gives %s, in order', (_, limits, expected) => {
    const operations = Array.from({ length: 6 }, () => put(100));
    const queue = queueOf(operations);
    const messages: PendingOperation[][] = [];
    while (queue.waiting > 0) messages.push([...queue.take({ ...room, ...limits }).operations]);
    expect(messages.map(({ length }) => length)).toEqual(expected);
    expect(messages.flat()).toEqual(operations);
  });

  it('counts the operations of atomic batches', () => {
    const queue = queueOf([batch(3), batch(2), put(), put()]);
    expect(queue.take({ ...room, operationsMax: 5 }).operations).toHaveLength(2);
    expect(queue.take({ ...room, operationsMax: 5 }).operations).toHaveLength(2);
  });

  it('gives nothing where there are no places', () => {
    expect(queueOf([put()]).take({ ...room, places: 0 }).operations).toEqual([]);
  });

  it('holds at most twice what waits, however many are settled in it', () => {
    const queue = new OperationQueue();
    const waiting: PendingOperation[] = [];
    for (let i = 0; i < 10_000; i++) {
      const operation = put();
      queue.push(operation);
      waiting.push(operation);
      // The oldest, as deadlines have it, and now and then the newest.
      const gone = waiting.length <= 100 ? undefined : i % 7 === 0 ? waiting.pop() : waiting.shift();
      if (gone !== undefined) settle(queue, gone);
      expect(queue.waiting).toBe(waiting.length);
      expect(queue.length).toBeLessThanOrEqual(2 * waiting.length);
    }
    expect(queue.take({ ...room, places: 30 }).operations).toEqual(waiting.splice(0, 30));
    for (const operation of waiting.splice(0, 20)) settle(queue, operation);
    expect(queue.takeAll()).toEqual(waiting);
    expect(queue.length).toBe(0);
  });

  it('holds no bytes of what is settled', () => {
    const [first, second] = [put(1000), put(1000)];
    const queue = queueOf([first, second]);
    settle(queue, first);
    expect(queue.length).toBe(2);
    expect([first.bytes.length, first.key.length]).toEqual([0, 0]);
    expect(queue.take({ ...room }).operations).toEqual([second]);
  });
});
