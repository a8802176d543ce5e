import { status as GrpcStatus, type ServiceError } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../src/base/assert.js';
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
    expect(backend.scans).toMatchObject([{ keysOnly: true, pageBytes: 77, consistency: 'stale', pageTimeoutMs: 5000 }]);
  });

  it('gives a scan without a deadline as long as versions are kept, and each page the default', async () => {
    await scan({});
    expect(backend.scans.at(-1)).toMatchObject({ timeoutMs: 600_000, pageTimeoutMs: 5000 });
    await kv.scan({}, { deadline: Date.now() + 120_000 }).toArray();
    const { timeoutMs, pageTimeoutMs } = defined(backend.scans.at(-1), 'scan');
    expect(timeoutMs).toBeGreaterThan(110_000);
    expect(pageTimeoutMs).toBe(timeoutMs);
    await scan({ page_timeout_ms: 2000 });
    expect(backend.scans.at(-1)).toMatchObject({ timeoutMs: 600_000, pageTimeoutMs: 1900 });
  });

  it.each<[string, Message, RegExp]>([
    ['an end before the start', { start: text('b'), end: text('a') }, /end of the scan is before its start/],
    ['a negative limit', { limit: -1 }, /limit must be 0 or more, got -1/],
    ['a negative page timeout', { page_timeout_ms: -1 }, /page_timeout_ms must be 0 or more, got -1/],
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
    limited = await startServer({ limits: { scansInFlightMax: 2 }, timeoutMsMax: 300 });
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

  it('end when the caller does not read for long, and count until it has taken what was sent', async () => {
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
