import { status as GrpcStatus, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { ShardId } from '../../src/base/ids.js';
import { routingKey } from '../../src/mvcc/operations.js';
import type { FakeBackend } from './fake-backend.js';
import {
  errorDetail,
  failure,
  rawClient,
  startServer,
  until,
  type Message,
  type RawClient,
  type TestServer,
} from './harness.js';

let node: TestServer;
let kv: RawClient;
let backend: FakeBackend;

const text = (value: string): Buffer => Buffer.from(value);
const requestId = (seq: number): Message => ({ session: Buffer.alloc(16, 9), seq });

beforeAll(async () => {
  node = await startServer({ limits: { requestBytesMax: 2 * 1024 * 1024 } });
  kv = rawClient(node.address);
  backend = node.backend;
});

beforeEach(() => {
  backend.state.records.clear();
  backend.state.answered.clear();
  backend.submitted.length = 0;
  backend.onSubmit = () => 'execute';
});

afterAll(async () => {
  kv.close();
  await node[Symbol.asyncDispose]();
});

describe('unary calls', () => {
  it('puts, gets and deletes', async () => {
    expect(await kv.unary('Get', { key: text('a') })).toEqual({ absent: {} });
    const { written } = (await kv.unary('Put', { key: text('a'), value: text('1') })) as {
      written: { version: number };
    };
    expect(written.version).toBeGreaterThan(0);
    const { found } = await kv.unary('Get', { key: text('a') });
    expect(found).toEqual({ version: written.version, value: text('1') });
    expect(await kv.unary('Delete', { key: text('a') })).toHaveProperty('written');
    expect(await kv.unary('Delete', { key: text('a') })).toEqual({ nothing_deleted: {} });
  });

  it('keeps an empty value apart from an absent one', async () => {
    await kv.unary('Put', { key: text('a') });
    expect(await kv.unary('Get', { key: text('a') })).toMatchObject({ found: {} });
  });

  it('hands the consistency on', async () => {
    await kv.unary('Get', { key: text('a'), consistency: 'CONSISTENCY_STALE' });
    await kv.unary('Get', { key: text('a') });
    expect(backend.submitted.map(({ operation }) => operation)).toMatchObject([
      { consistency: 'stale' },
      { consistency: 'linearizable' },
    ]);
  });

  it('answers a failed condition with what is there', async () => {
    const put = (condition: Message): Promise<Message> =>
      kv.unary('Put', { key: text('a'), value: text('new'), condition });
    expect(await put({ version_equals: 3 })).toEqual({ condition_failed: { absent: {} } });
    expect(await put({ value_equals: text('x') })).toEqual({ condition_failed: { absent: {} } });
    const { written } = (await put({ absent: {} })) as { written: { version: number } };
    const present = { version: written.version, value: text('new') };
    expect(await put({ absent: {} })).toEqual({ condition_failed: { present } });
    expect(await put({ value_equals: text('x') })).toEqual({ condition_failed: { present } });
    expect(await put({ version_equals: written.version })).toHaveProperty('written');
    const condition = { value_equals: text('x') };
    expect(await kv.unary('Delete', { key: text('a'), condition })).toHaveProperty('condition_failed.present');
  });

  it('hands request ids on, and makes one where there is none', async () => {
    await kv.unary('Put', { key: text('a'), value: text('1'), request_id: requestId(7) });
    await kv.unary('Put', { key: text('a'), value: text('1') });
    const [given, made] = backend.submitted.map(({ operation }) => (operation.type === 'put' ? operation : undefined));
    expect(given?.requestId.seq).toBe(7);
    expect(made?.requestId.session).toHaveLength(16);
  });

  it('executes an atomic batch', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map(text);
    const operations = [
      { key: a, put: text('1') },
      { key: b, delete: {} },
      { key: c, check: {}, condition: { absent: {} } },
    ];
    const { written } = await kv.unary('AtomicBatch', { operations, request_id: requestId(7) });
    expect(written).toHaveProperty('version');
    expect(backend.submitted[0].operation).toMatchObject({
      type: 'atomicBatch',
      operations: [{ type: 'put' }, { type: 'delete' }, { type: 'check' }],
      requestId: { seq: 7 },
    });
    const refused = await kv.unary('AtomicBatch', {
      operations: [
        { key: a, put: text('2'), condition: { absent: {} } },
        { key: c, put: text('2') },
      ],
    });
    const present = { ...(written as Message), value: text('1') };
    expect(refused).toEqual({ conditions_failed: { conditions: [{ present }] } });
    expect(await kv.unary('Get', { key: c })).toEqual({ absent: {} });
  });

  it.each<[string, Message[], RegExp]>([
    ['nothing', [], /no operations/],
    ['an operation without a kind', [{ key: text('a') }], /kind/],
    ['an empty key', [{ key: text('a'), put: text('') }, { put: text('') }], /operations\[1\]: the key is empty/],
    ['a condition without a kind', [{ key: text('a'), put: text(''), condition: {} }], /condition/],
    ['a check without a condition', [{ key: text('a'), check: {} }], /operations\[0\]: a check has no condition/],
    ['a key twice', ['a', 'b', 'a'].map((key) => ({ key: text(key), delete: {} })), /operations\[2\].*operations\[0\]/],
  ])('refuses an atomic batch of %s', async (_, operations, message) => {
    const error = await failure(kv.unary('AtomicBatch', { operations }));
    expect(error.details).toMatch(message);
    expect(errorDetail(error)).toMatchObject({ code: 'ERROR_CODE_INVALID_ARGUMENT', outcome: 'OUTCOME_NOT_APPLIED' });
    expect(backend.submitted).toEqual([]);
  });

  it('executes a batch, a result each', async () => {
    const refused = new QuorateError('OVERLOADED', 'full', { shard: ShardId(3), retryAfterMs: 20 });
    backend.onSubmit = (operation) => (routingKey(operation)[0] === 0x62 ? refused : 'execute');
    const { results } = await kv.unary('Batch', {
      operations: [
        { put: { key: text('a'), value: text('1') } },
        { get: { key: text('b') } },
        { delete: { key: text('c') } },
        { get: { key: text('') } },
        {},
      ],
    });
    expect(results).toMatchObject([
      { written: {} },
      {
        error: {
          detail: {
            code: 'ERROR_CODE_OVERLOADED',
            outcome: 'OUTCOME_NOT_APPLIED',
            shard: 3,
            retryable: true,
            retry_after_ms: 20,
          },
          message: 'full',
        },
      },
      { nothing_deleted: {} },
      { error: { detail: { code: 'ERROR_CODE_INVALID_ARGUMENT' }, message: 'the key is empty' } },
      { error: { detail: { code: 'ERROR_CODE_INVALID_ARGUMENT' } } },
    ]);
  });

  it('leaves values out of a batch response that grew too long', async () => {
    const value = Buffer.alloc(900_000);
    await kv.unary('Put', { key: text('a'), value });
    const get = { get: { key: text('a') } };
    await kv.unary('Put', { key: text('b'), value: text('small') });
    const small = { get: { key: text('b') } };
    const { results } = await kv.unary('Batch', { operations: [get, get, get, small] });
    expect(results).toMatchObject([
      { found: {} },
      { found: {} },
      { error: { detail: { code: 'ERROR_CODE_OVERLOADED', outcome: 'OUTCOME_NOT_APPLIED', retry_after_ms: 20 } } },
      { found: { value: text('small') } },
    ]);
  });

  it('carries the details of an error', async () => {
    backend.onSubmit = () =>
      new QuorateError('SHARD_UNAVAILABLE', 'shard 0 has no quorum', {
        shard: ShardId(0),
        outcome: 'unknown',
        retryAfterMs: 50,
      });
    const error = await failure(kv.unary('Put', { key: text('a') }));
    expect(error.code).toBe(GrpcStatus.UNAVAILABLE);
    expect(error.details).toBe('shard 0 has no quorum');
    expect(errorDetail(error)).toEqual({
      code: 'ERROR_CODE_SHARD_UNAVAILABLE',
      shard: 0,
      retryable: true,
      retry_after_ms: 50,
    });
  });
});

describe('bad requests', () => {
  it.each<[string, string, Message, RegExp]>([
    ['an empty key', 'Get', {}, /key is empty/],
    ['a long key', 'Get', { key: Buffer.alloc(4097) }, /4097 bytes.*keyBytesMax.*4096/],
    ['a long value', 'Put', { key: text('a'), value: Buffer.alloc(2 ** 20 + 1) }, /valueBytesMax.*1048576/],
    ['an unknown enum', 'Get', { key: text('a'), consistency: 7 }, /unknown consistency 7/],
    ['a negative enum', 'Get', { key: text('a'), consistency: -1 }, /unknown consistency -1/],
    ['a condition without kind', 'Put', { key: text('a'), condition: {} }, /condition is missing/],
    ['a version of 2^53', 'Put', { key: text('a'), condition: { version_equals: 2 ** 53 } }, /above 2\^53 - 1/],
    ['a session of 15 bytes', 'Put', { key: text('a'), request_id: { session: Buffer.alloc(15) } }, /16 bytes, not 15/],
    ['a seq of 2^60', 'Put', { key: text('a'), request_id: { ...requestId(0), seq: 2 ** 60 } }, /above 2\^53 - 1/],
    ['an empty batch', 'Batch', {}, /no operations/],
    ['a batch that is too long', 'Batch', { operations: new Array(1025).fill({}) }, /1024.*batchOperationsMax/],
  ])('refuses %s', async (_, method, request, message) => {
    const error = await failure(kv.unary(method, request));
    expect(error.code).toBe(GrpcStatus.INVALID_ARGUMENT);
    expect(error.details).toMatch(message);
    expect(errorDetail(error)).toEqual({ code: 'ERROR_CODE_INVALID_ARGUMENT', outcome: 'OUTCOME_NOT_APPLIED' });
    expect(backend.submitted).toEqual([]);
  });

  it('refuses an oversized message, naming the limit', async () => {
    const error = await failure(kv.unary('Put', { key: text('a'), value: Buffer.alloc(3 * 1024 * 1024) }));
    expect(error.code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
    expect(error.details).toMatch(/larger than max.*2097152/);
    expect(backend.submitted).toEqual([]);
  });
});

describe('time', () => {
  it('uses the default without a deadline', async () => {
    await kv.unary('Get', { key: text('a') });
    expect(backend.submitted[0].timeoutMs).toBe(5000);
  });

  it('leaves the backend a little less than the deadline', async () => {
    await kv.unary('Get', { key: text('a') }, { deadline: Date.now() + 2000 });
    expect(backend.submitted[0].timeoutMs).toBeLessThanOrEqual(1950);
    expect(backend.submitted[0].timeoutMs).toBeGreaterThan(500);
  });

  it('caps a long deadline', async () => {
    await kv.unary('Get', { key: text('a') }, { deadline: Date.now() + 3_600_000 });
    expect(backend.submitted[0].timeoutMs).toBe(300_000);
  });

  it('drops the answer of a cancelled call', async () => {
    backend.onSubmit = () => 'hold';
    const ended = new Promise<ServiceError | null>((resolve) => {
      const call = kv.start('Put', { key: text('a'), value: text('1') }, resolve);
      void until(() => backend.held.length === 1).then(() => call.cancel());
    });
    expect((await ended)?.code).toBe(GrpcStatus.CANCELLED);
    backend.releaseHeld();
    backend.onSubmit = () => 'execute';
    // The write took effect all the same.
    expect(await kv.unary('Get', { key: text('a') })).toHaveProperty('found');
  });
});
