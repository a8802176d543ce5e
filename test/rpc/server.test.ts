import { status as GrpcStatus, type ServiceError } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { ShardId } from '../../src/base/ids.js';
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
import { SlowCaller } from './slow-caller.js';

let node: TestServer;
let kv: RawClient;
let backend: FakeBackend;

/** More than the transport takes on account of its own buffers. */
const pageBytes = 400_000;

/** Gives `backend` records that have a page each. */
function fillPages(count: number): void {
  const value = Buffer.alloc(pageBytes);
  backend.state.records.clear();
  backend.pageRecordsMax = 1;
  for (let i = 0; i < count; i++) {
    const requestId = backend.newRequestId();
    backend.state.execute({ type: 'put', key: text(`${i}`), value, condition: { type: 'none' }, requestId });
  }
}

/** How many pages were read from then on. */
function countPages(before: () => Promise<void> | void = () => undefined): () => number {
  let pages = 0;
  backend.beforePage = () => {
    pages++;
    return before();
  };
  return () => pages;
}

/** What the server does without waiting for anybody is done after this: its turns are also those of these calls. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await kv.unary('Get', { key: text('a') });
}

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

  it('executes a batch, a result each', async () => {
    const refused = new QuorateError('OVERLOADED', 'full', { shard: ShardId(3), retryAfterMs: 20 });
    backend.onSubmit = (operation) => (operation.key[0] === 0x62 ? refused : 'execute');
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
    const { results } = await kv.unary('Batch', { operations: [get, get, get] });
    expect(results).toMatchObject([
      { found: {} },
      { found: {} },
      { error: { detail: { code: 'ERROR_CODE_OVERLOADED', outcome: 'OUTCOME_NOT_APPLIED' } } },
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

describe('scan', () => {
  const keys = ['a', 'ab', 'abc', 'b', 'c'];

  beforeEach(async () => {
    for (const key of keys) await kv.unary('Put', { key: text(key), value: text(`value of ${key}`) });
    backend.scans.length = 0;
    backend.beforePage = () => undefined;
  });

  async function scan(request: Message): Promise<string[]> {
    const found: string[] = [];
    for await (const page of kv.scan(request) as AsyncIterable<{
      records: { key: Buffer }[];
      read_timestamp: number;
    }>) {
      expect(page.read_timestamp).toBe(1000);
      expect(page.records.length).toBeLessThanOrEqual(2);
      found.push(...page.records.map(({ key }) => key.toString()));
    }
    return found;
  }

  it.each<[string, Message, string[]]>([
    ['everything', {}, keys],
    ['in reverse', { reverse: true }, [...keys].reverse()],
    ['from a start', { start: text('abc') }, ['abc', 'b', 'c']],
    ['up to an end', { end: text('abc') }, ['a', 'ab']],
    ['a prefix', { prefix: text('ab') }, ['ab', 'abc']],
    ['a prefix from a start on', { prefix: text('a'), start: text('ab') }, ['ab', 'abc']],
    ['a prefix up to an end', { prefix: text('a'), end: text('ab') }, ['a']],
    ['up to a limit', { limit: 3 }, ['a', 'ab', 'abc']],
    ['an empty range', { start: text('b'), end: text('b') }, []],
    ['a prefix outside the range', { prefix: text('a'), start: text('b') }, []],
  ])('reads %s', async (_, request, expected) => {
    expect(await scan(request)).toEqual(expected);
  });

  it('hands the rest of the request on', async () => {
    await scan({ keys_only: true, page_bytes: 77, consistency: 'CONSISTENCY_STALE' });
    expect(backend.scans).toMatchObject([{ keysOnly: true, pageBytes: 77, consistency: 'stale', timeoutMs: 5000 }]);
  });

  it.each<[string, Message, RegExp]>([
    ['an end before the start', { start: text('b'), end: text('a') }, /end of the scan is before its start/],
    ['a negative limit', { limit: -1 }, /limit must be 0 or more, got -1/],
    ['a negative page size', { page_bytes: -5 }, /page_bytes must be 0 or more, got -5/],
    ['an unknown enum', { consistency: 99 }, /unknown consistency 99/],
    ['a limit below -2^53', { limit: -(2 ** 60) }, /beyond 2\^53 - 1/],
  ])('refuses %s', async (_, request, message) => {
    const error = await failure(scan(request));
    expect(error.code).toBe(GrpcStatus.INVALID_ARGUMENT);
    expect(error.details).toMatch(message);
    expect(backend.scans).toEqual([]);
  });

  it('fails in the middle with the details of the error', async () => {
    backend.beforePage = (page) => {
      if (page === 1) throw new QuorateError('SHARD_UNAVAILABLE', 'lost', { shard: ShardId(2) });
    };
    const error = await failure(scan({}));
    expect(errorDetail(error)).toMatchObject({ code: 'ERROR_CODE_SHARD_UNAVAILABLE', shard: 2 });
  });

  it('stops the backend when the caller cancels', async () => {
    let stopped: AbortSignal | undefined;
    backend.beforePage = (page, signal) => {
      if (page === 0) return undefined;
      stopped = signal;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    };
    const call = kv.scan({});
    call.on('error', () => undefined);
    call.resume();
    await until(() => stopped !== undefined);
    call.cancel();
    await until(() => stopped?.aborted === true);
    expect(stopped?.reason).toMatchObject({ code: 'CANCELLED' });
  });

  it('has one page in the transport, and reads the next when the caller has taken it', async () => {
    fillPages(10);
    const pages = countPages();
    const slow = new SlowCaller(node.address);
    try {
      await slow.take(1);
      await settled();
      expect(pages()).toBe(2);
      await slow.take(4);
      await settled();
      expect(pages()).toBe(5);
      await slow.take(10);
      expect(await slow.status()).toBe(GrpcStatus.OK);
      expect(pages()).toBe(10);
    } finally {
      slow.close();
    }
  });
});

describe('scans in flight', () => {
  let limited: TestServer;
  let client: RawClient;

  beforeEach(async () => {
    limited = await startServer({ limits: { scansInFlightMax: 2 }, defaultTimeoutMs: 300 });
    client = rawClient(limited.address);
    backend = limited.backend;
    backend.pageRecordsMax = 1;
  });

  afterEach(async () => {
    client.close();
    await limited[Symbol.asyncDispose]();
  });

  /** How a scan ends that is read to its end. */
  async function end(): Promise<ServiceError | undefined> {
    try {
      await client.scan({}).toArray();
    } catch (error) {
      return error as ServiceError;
    }
    return undefined;
  }

  /** Resolves when two scans at once are accepted. */
  async function bothAreFree(): Promise<void> {
    while ((await Promise.all([end(), end()])).some((error) => error?.code === GrpcStatus.RESOURCE_EXHAUSTED));
  }

  it('are limited in number, by the limit and with a hint, until one has ended', async () => {
    fillPages(1);
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const pages = countPages(() => released);
    const open = [end(), end()];
    await until(() => pages() === 2);
    const refused = await end();
    expect(refused?.code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
    expect(refused?.details).toMatch(/2 scans.*scansInFlightMax/);
    expect(errorDetail(refused as ServiceError)).toMatchObject({
      code: 'ERROR_CODE_OVERLOADED',
      outcome: 'OUTCOME_NOT_APPLIED',
      retry_after_ms: 100,
    });
    release();
    expect(await Promise.all(open)).toEqual([undefined, undefined]);
    expect(await end()).toBeUndefined();
  });

  it('end at their deadline when the caller does not read, and count until it has taken what was sent', async () => {
    fillPages(10);
    let signal: AbortSignal | undefined;
    backend.beforePage = (_page, given) => void (signal = given);
    const slow = [new SlowCaller(limited.address), new SlowCaller(limited.address)];
    try {
      for (const each of slow) await each.take(1);
      await until(() => signal?.aborted === true);
      expect(signal?.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect((await end())?.code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
      await slow[0].take(2);
      expect(await slow[0].status()).toBe(GrpcStatus.DEADLINE_EXCEEDED);
      expect(await end()).toBeUndefined();
    } finally {
      for (const each of slow) each.close();
    }
  });

  it('are reset when the caller does not take the end either', async () => {
    fillPages(10);
    const slow = [new SlowCaller(limited.address), new SlowCaller(limited.address)];
    try {
      for (const each of slow) await each.take(1);
      expect((await end())?.code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
      await bothAreFree();
    } finally {
      for (const each of slow) each.close();
    }
  });

  it('leave nothing behind when they are cancelled at any moment', async () => {
    fillPages(3);
    const pages = countPages();
    for (let i = 0; i < 100; i++) {
      const call = client.scan({});
      call.on('error', () => undefined);
      call.resume();
      for (let turns = 0; turns < i % 25; turns++) await new Promise((resolve) => setImmediate(resolve));
      call.cancel();
    }
    expect(pages()).toBeGreaterThan(0);
    // The server learns of the last ones after this, and of those that were cancelled at once only at their deadline:
    // grpc-js, as a client, leaves their streams open.
    await bothAreFree();
  });
});
