import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import type { Limits } from '../../src/base/limits.js';
import { routingKey } from '../../src/mvcc/operations.js';
import type { FakeBackend } from './fake-backend.js';
import { errorDetail, rawClient, startServer, until, type Message, type TestServer } from './harness.js';

interface Result {
  readonly id: number;
  readonly result: Message;
}

interface OpenStream {
  readonly node: TestServer;
  readonly backend: FakeBackend;
  readonly call: ClientDuplexStream<Message, Message>;
  /** One array a message. */
  readonly messages: Result[][];
  readonly results: () => Result[];
  readonly ended: Promise<ServiceError | undefined>;
  readonly send: (...operations: Message[]) => void;
}

async function openStream(limits: Partial<Limits> = {}): Promise<OpenStream> {
  const node = await startServer({ limits, defaultTimeoutMs: 1234 });
  const kv = rawClient(node.address);
  const call = kv.stream();
  onTestFinished(async () => {
    call.cancel();
    kv.close();
    await node[Symbol.asyncDispose]();
  });
  const messages: Result[][] = [];
  call.on('data', ({ results }: { results: Result[] }) => messages.push(results));
  const ended = new Promise<ServiceError | undefined>((resolve) => {
    call.on('error', (error: ServiceError) => resolve(error));
    call.on('end', () => resolve(undefined));
  });
  return {
    node,
    backend: node.backend,
    call,
    messages,
    results: () => messages.flat(),
    ended,
    send: (...operations) => void call.write({ operations }),
  };
}

const key = (name: string): Buffer => Buffer.from(name);
const get = (id: number, name = 'k'): Message => ({ id, operation: { get: { key: key(name) } } });
const put = (id: number, name: string, value = 'v'): Message => ({
  id,
  operation: { put: { key: key(name), value: Buffer.from(value) } },
});

describe('stream', () => {
  it('executes atomic batches among other operations', async () => {
    const { send, results } = await openStream();
    const batch = (id: number, condition?: Message): Message => ({
      id,
      operation: { atomic_batch: { operations: [{ key: key('a'), put: key('1'), condition }] } },
    });
    send(put(1, 'b'), batch(2), batch(3, { absent: {} }));
    await until(() => results().length === 3);
    expect(results()).toMatchObject([
      { id: 1, result: { written: {} } },
      { id: 2, result: { written: {} } },
      { id: 3, result: { conditions_failed: { conditions: [{ present: { value: key('1') } }] } } },
    ]);
  });

  it('answers out of order, by id', async () => {
    const { backend, send, results } = await openStream();
    backend.onSubmit = (operation) => (routingKey(operation)[0] === 0x61 ? 'hold' : 'execute');
    send(put(1, 'a'), put(2, 'b'));
    send(get(Number.MAX_SAFE_INTEGER, 'c'));
    await until(() => results().length === 2);
    backend.releaseHeld();
    await until(() => results().length === 3);
    expect(results()).toMatchObject([
      { id: 2, result: { written: {} } },
      { id: Number.MAX_SAFE_INTEGER, result: { absent: {} } },
      { id: 1, result: { written: {} } },
    ]);
  });

  it('puts the results of one turn into one message', async () => {
    const { backend, send, messages, results } = await openStream();
    backend.onSubmit = () => 'hold';
    send(...Array.from({ length: 100 }, (_, i) => put(i + 1, `k${i}`)));
    await until(() => backend.held.length === 100);
    backend.releaseHeld();
    await until(() => results().length === 100);
    expect(messages).toHaveLength(1);
  });

  it('hands timeouts on: given, default, capped', async () => {
    const { backend, send, results } = await openStream();
    send({ ...get(1), timeout_ms: 77 }, get(2), { ...get(3), timeout_ms: 3_600_000 });
    await until(() => results().length === 3);
    expect(backend.submitted.map(({ timeoutMs }) => timeoutMs)).toEqual([77, 1234, 300_000]);
  });

  it('answers what is wrong in one operation, and goes on', async () => {
    const { backend, send, results } = await openStream();
    backend.onSubmit = (operation) =>
      routingKey(operation)[0] === 0x78 ? new QuorateError('DISK_FULL', 'full') : 'execute';
    send(get(1, ''), { id: 2, operation: {} }, { id: 3, operation: { get: { key: key('k'), consistency: 9 } } });
    send(put(4, 'x'), get(5));
    await until(() => results().length === 5);
    const codes = results().map(({ id, result }) => {
      const { error } = result as { error?: { detail: { code: string } } };
      return [id, error?.detail.code ?? 'ok'];
    });
    expect(Object.fromEntries(codes)).toEqual({
      1: 'ERROR_CODE_INVALID_ARGUMENT',
      2: 'ERROR_CODE_INVALID_ARGUMENT',
      3: 'ERROR_CODE_INVALID_ARGUMENT',
      4: 'ERROR_CODE_DISK_FULL',
      5: 'ok',
    });
  });

  it.each<[string, Message[]]>([
    ['more operations than a message may have', Array.from({ length: 1025 }, (_, i) => get(i))],
    ['an id of 2^53', [{ ...get(1), id: 2 ** 53 }]],
    ['no operation', [{ id: 1 }]],
  ])('ends the stream on %s', async (_, operations) => {
    const { send, ended, backend } = await openStream();
    send(...operations);
    const error = await ended;
    expect(error && errorDetail(error)).toMatchObject({ code: 'ERROR_CODE_INVALID_ARGUMENT', refused_message: 1 });
    expect(backend.submitted).toEqual([]);
  });

  it('says which message it refused, and does nothing of that one and of those after it', async () => {
    const { backend, send, ended } = await openStream({ batchOperationsMax: 2 });
    backend.onSubmit = () => 'hold';
    send(put(1, 'a'));
    send(put(2, 'b'), put(3, 'c'));
    send(put(4, 'd'), put(5, 'e'), put(6, 'f'));
    send(put(7, 'g'));
    const error = await ended;
    expect(error && errorDetail(error)).toMatchObject({ outcome: 'OUTCOME_NOT_APPLIED', refused_message: 3 });
    expect(backend.submitted.map(({ operation }) => fromUtf8(routingKey(operation)))).toEqual(['a', 'b', 'c']);
  });

  it('stops to read while too many operations are open', async () => {
    const { backend, send, results } = await openStream({
      nodeOperationsInFlightMax: 40,
      shardOperationsInFlightMax: 40,
    });
    backend.onSubmit = () => 'hold';
    for (let id = 1; id <= 500; id++) send(get(id));
    await until(() => backend.held.length >= 10);
    // Nothing more comes, in more turns of the event loop than the others took to come.
    await turns(50);
    expect(backend.held.length).toBeLessThanOrEqual(10);
    backend.onSubmit = () => 'execute';
    backend.releaseHeld();
    await until(() => results().length === 500);
    expect(new Set(results().map(({ id }) => id)).size).toBe(500);
  });

  it('leaves values out rather than gather without bound for a caller who does not read', async () => {
    const { backend, call, send, results } = await openStream();
    const large = Buffer.alloc(1024 * 1024).toString();
    send(put(1, 'large', large));
    await until(() => results().length === 1);
    call.pause();
    backend.onSubmit = () => 'hold';
    send(...Array.from({ length: 200 }, (_, i) => get(i + 2, 'large')));
    await until(() => backend.held.length === 200);
    backend.releaseHeld();
    call.resume();
    await until(() => results().length === 201);
    const found = results().filter(({ result }) => 'found' in result).length;
    expect(found).toBeGreaterThan(20);
    expect(found).toBeLessThan(70);
    const refused = results().filter(({ result }) => 'error' in result);
    expect(refused).toHaveLength(200 - found);
    const detail = { code: 'ERROR_CODE_OVERLOADED', retryable: true, retry_after_ms: 20 };
    for (const each of refused) expect(each).toMatchObject({ result: { error: { detail } } });
  });

  it('answers what is open when the caller closes its side', async () => {
    const { backend, call, send, results, ended } = await openStream();
    backend.onSubmit = () => 'hold';
    send(put(1, 'a'));
    call.end();
    await until(() => backend.held.length === 1);
    backend.releaseHeld();
    expect(await ended).toBeUndefined();
    expect(results()).toMatchObject([{ id: 1 }]);
  });

  it('lets writes of a cancelled stream take effect', async () => {
    const { backend, call, send, ended } = await openStream();
    backend.onSubmit = () => 'hold';
    send(put(1, 'a'));
    await until(() => backend.held.length === 1);
    call.cancel();
    await ended;
    backend.releaseHeld();
    expect(backend.state.applied).toEqual(['a']);
  });
});

describe('drain', () => {
  it('answers what is open, refuses what is new, and ends', async () => {
    const { node, backend, send, results, ended } = await openStream();
    backend.onSubmit = () => 'hold';
    send(put(1, 'a'));
    await until(() => backend.held.length === 1);
    const drained = node.server.drain(5000);
    send(put(2, 'b'));
    await until(() => results().length === 1);
    backend.releaseHeld();
    await drained;
    expect(await ended).toBeUndefined();
    expect(results()).toMatchObject([
      { id: 2, result: { error: { detail: { code: 'ERROR_CODE_NODE_STOPPING', retryable: true } } } },
      { id: 1, result: { written: {} } },
    ]);
  });

  it('cuts off what does not finish in time', async () => {
    const { node, backend, send, ended } = await openStream();
    backend.onSubmit = () => 'hold';
    send(put(1, 'a'));
    await until(() => backend.held.length === 1);
    await node.server.drain(20);
    expect(await ended).toBeDefined();
    backend.releaseHeld();
  });
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
