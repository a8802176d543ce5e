/** Bad requests, scans across shards, and a cluster without a quorum: over real sockets, in one process. */
import { status as GrpcStatus, type ServiceError } from '@grpc/grpc-js';
import { connect, QuorateError, type Client } from 'quorate';
import { startCluster, type TestCluster } from 'quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorDetail, failure, rawClient, type Message, type RawClient } from '../rpc/harness.js';
import { isCaughtUp, Tally, until, untilStatus } from './support.js';

const mib = 1024 * 1024;
/** A key of each of four shards; a cluster cuts the key space evenly by the first letters and digits. */
const shardKeys = ['0/a', 'G/a', 'W/a', 'm/a'];
const longKey = 'k'.repeat(4097);
const longValue = new Uint8Array(mib + 1);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

let cluster: TestCluster;
let client: Client;
let raw: RawClient;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, shards: 4 });
  client = await connect({ endpoints: cluster.endpoints });
  raw = rawClient(cluster.endpoints[0]);
}, 60_000);

afterAll(async () => {
  raw.close();
  await client.close();
  await cluster[Symbol.asyncDispose]();
});

async function clientFailure(promise: Promise<unknown>): Promise<QuorateError> {
  const thrown = await failure(promise);
  expect(thrown).toBeInstanceOf(QuorateError);
  return thrown as unknown as QuorateError;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('a request that breaks a rule is refused, not applied, and told which', () => {
  const scan = (request: Message): Promise<unknown> => collect(raw.scan(request) as AsyncIterable<Message>);
  const key = Buffer.from('refused');
  const largeSeq = { session: Buffer.alloc(16), seq: '18446744073709551615' };
  const reads: [string, () => Promise<unknown>, RegExp][] = [
    ['an empty key', () => raw.unary('Get', {}), /key is empty/],
    ['a key over 4 KiB', () => raw.unary('Get', { key: Buffer.from(longKey) }), /4097 bytes.*keyBytesMax.*4096/],
    ['a put of an empty key', () => raw.unary('Put', { value: key }), /key is empty/],
    ['a put of a key over 4 KiB', () => raw.unary('Put', { key: Buffer.from(longKey) }), /keyBytesMax.*4096/],
    ['a delete of a key over 4 KiB', () => raw.unary('Delete', { key: Buffer.from(longKey) }), /keyBytesMax.*4096/],
    ['a value over 1 MiB', () => raw.unary('Put', { key, value: longValue }), /1048577 bytes.*valueBytesMax.*1048576/],
    ['an end before the start', () => scan({ start: Buffer.from('b'), end: Buffer.from('a') }), /end.*before.*start/],
    ['a negative limit', () => scan({ limit: -1 }), /limit.*-1/],
    ['a negative page size', () => scan({ page_bytes: -1 }), /page_bytes/],
    ['an unknown consistency', () => raw.unary('Get', { key, consistency: 7 }), /consistency.*7/i],
    ['an unknown consistency of a scan', () => scan({ consistency: 7 }), /consistency.*7/i],
    ['a condition without a kind', () => raw.unary('Put', { key, condition: {} }), /condition/],
    ['a version of 2^53', () => raw.unary('Put', { key, condition: { version_equals: '9007199254740992' } }), /2\^53/],
    ['a sequence number of 2^64 - 1', () => raw.unary('Put', { key, request_id: largeSeq }), /2\^53/],
    ['a session of 15 bytes', () => raw.unary('Put', { key, request_id: { session: Buffer.alloc(15), seq: 1 } }), /16/],
  ];

  test.each(reads)('%s', async (_, call, message) => {
    const error = await failure(call());
    expect(GrpcStatus[error.code]).toBe('INVALID_ARGUMENT');
    expect(error.details).toMatch(message);
    // Not retryable, and of no shard: both would be there.
    expect(errorDetail(error)).toEqual({ code: 'ERROR_CODE_INVALID_ARGUMENT', outcome: 'OUTCOME_NOT_APPLIED' });
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['an empty key', () => client.put('', 'v'), /key is empty/],
    ['a key over 4 KiB', () => client.get(longKey), /keyBytesMax.*4096/],
    ['a value over 1 MiB', () => client.put('refused', longValue), /valueBytesMax.*1048576/],
    ['an end before the start', () => collect(client.scan({ start: 'b', end: 'a' })), /end.*before.*start/],
    ['a negative limit', () => collect(client.scan({ limit: -1 })), /limit.*-1/],
    ['a version of 2^53', () => client.put('refused', 'v', { ifVersion: 2 ** 53 }), /2\^53/],
    ['two conditions', () => client.put('refused', 'v', { ifAbsent: true, ifValue: 'w' }), /one of/],
    ['a deadline of 0', () => client.get('refused', { deadlineMs: 0 }), /deadlineMs/],
    ['an operation over 4 MiB', () => client.put('refused', new Uint8Array(5 * mib)), /operationBytesMax.*4194304/],
  ])('%s, by the TypeScript client', async (_, call, message) => {
    const { code, outcome, retryable, message: told } = await clientFailure(call());
    expect({ code, outcome, retryable }).toEqual({ code: 'INVALID_ARGUMENT', outcome: 'notApplied', retryable: false });
    expect(told).toMatch(message);
  });

  test('a message over 8 MiB, naming the limit, and the connection lives on', async () => {
    const error = await failure(raw.unary('Put', { key, value: Buffer.alloc(9 * mib) }));
    expect(GrpcStatus[error.code]).toBe('RESOURCE_EXHAUSTED');
    expect(error.details).toMatch(/8388608/);
    expect(await raw.unary('Get', { key })).toEqual({ absent: {} });
  });

  test('a request id that comes again with another write', async () => {
    const request_id = { session: Buffer.alloc(16, 7), seq: 1 };
    const first = await raw.unary('Put', { key: Buffer.from('named'), value: Buffer.from('1'), request_id });
    expect(await raw.unary('Put', { key: Buffer.from('named'), value: Buffer.from('1'), request_id })).toEqual(first);
    const error = await failure(raw.unary('Put', { key: Buffer.from('named'), value: Buffer.from('2'), request_id }));
    expect(GrpcStatus[error.code]).toBe('INVALID_ARGUMENT');
    expect(error.details).toMatch(/request id reuse/);
    expect(errorDetail(error)).toMatchObject({ outcome: 'OUTCOME_NOT_APPLIED' });
    const requestId = { session: new Uint8Array(16).fill(7), seq: 1 };
    expect(await clientFailure(client.put('named', '3', { requestId }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await client.get('named')).toMatchObject({ type: 'found', value: new Uint8Array(Buffer.from('1')) });
    await client.delete('named');
  });

  test('none of them has written anything', async () => {
    expect(await collect(client.scan())).toEqual([]);
  });
});

describe('a stream', () => {
  test('answers by id, and what is wrong with one operation concerns no other', async () => {
    const stream = raw.stream();
    const results = new Map<number, Message>();
    const answers = new Tally();
    stream.on('data', ({ results: some }: { results: { id: number; result: Message }[] }) => {
      for (const { id, result } of some) {
        results.set(id, result);
        answers.add();
      }
    });
    const ended = new Promise((resolve, reject) => stream.once('end', () => resolve(undefined)).once('error', reject));
    const put = (id: number, name: string): Message => ({
      id,
      operation: { put: { key: Buffer.from(name), value: Buffer.from(String(id)) } },
    });
    const ids = shardKeys.map((_, i) => 900 - i);
    stream.write({ operations: shardKeys.map((name, i) => put(ids[i], name)) });
    stream.write({
      operations: [put(5, ''), { id: 7, operation: {} }, { id: 6, operation: { get: { key: Buffer.from('absent') } } }],
    });
    await answers.reaches(7);
    for (const id of ids) expect(results.get(id)).toHaveProperty('written');
    expect(results.get(5)).toMatchObject({ error: { detail: { code: 'ERROR_CODE_INVALID_ARGUMENT' } } });
    expect(results.get(7)).toMatchObject({ error: { detail: { code: 'ERROR_CODE_INVALID_ARGUMENT' } } });
    expect(results.get(6)).toEqual({ absent: {} });
    stream.end();
    await ended;
    await client.batch(shardKeys.map((name) => ({ type: 'delete', key: name })));
  });

  test('does not keep a quick operation waiting for a slow one', async () => {
    // The slow one goes to the disk, the quick one is refused at the gate: sent later, answered sooner.
    const stream = raw.stream();
    const order: number[] = [];
    const answers = new Tally();
    stream.on('data', ({ results }: { results: { id: number }[] }) => {
      for (const { id } of results) {
        order.push(id);
        answers.add();
      }
    });
    const value = Buffer.alloc(mib);
    stream.write({ operations: [{ id: 1, operation: { put: { key: Buffer.from('slow'), value } } }] });
    stream.write({ operations: [{ id: 2, operation: { get: {} } }] });
    await answers.reaches(2);
    expect(order).toEqual([2, 1]);
    stream.end();
    await client.delete('slow');
  });
});

describe('scans over four shards', () => {
  const prefixes = shardKeys.map((key) => `${key}/`);
  const keys = prefixes.flatMap((first) =>
    Array.from({ length: 50 }, (_, i) => `${first}${String(i).padStart(3, '0')}`),
  );

  beforeAll(async () => {
    await client.batch(keys.map((key) => ({ type: 'put', key, value: `value of ${key}` })));
  });
  afterAll(async () => {
    await client.batch(keys.map((key) => ({ type: 'delete', key })));
  });

  const keysOf = async (options: Parameters<Client['scan']>[0]): Promise<string[]> =>
    (await collect(client.scan(options))).map((record) => text(record.key));

  test('come in order, in small pages too, at one timestamp', async () => {
    const pages = await collect(client.scanPages({ pageBytes: 500 }));
    expect(pages.length).toBeGreaterThan(8);
    expect(new Set(pages.map(({ readTs }) => readTs)).size).toBe(1);
    const records = pages.flatMap((page) => page.records);
    expect(records.map(({ key }) => text(key))).toEqual(keys);
    expect(records.map(({ value }) => text(value))).toEqual(keys.map((key) => `value of ${key}`));
  });

  test('reversed, bounded, with prefix, limit, and keys only', async () => {
    expect(await keysOf({ reverse: true, pageBytes: 700 })).toEqual([...keys].reverse());
    expect(await keysOf({ start: keys[10], end: keys[120] })).toEqual(keys.slice(10, 120));
    expect(await keysOf({ start: keys[10], end: keys[120], reverse: true })).toEqual(keys.slice(10, 120).reverse());
    expect(await keysOf({ prefix: 'G/a/01' })).toEqual(keys.filter((key) => key.startsWith('G/a/01')));
    expect(await keysOf({ limit: 73 })).toEqual(keys.slice(0, 73));
    expect(await keysOf({ limit: 73, reverse: true, pageBytes: 300 })).toEqual(keys.slice(-73).reverse());
    expect(await keysOf({ start: 'x', end: 'x' })).toEqual([]);
    const [bare] = await collect(client.scan({ keysOnly: true, limit: 1 }));
    expect(bare).toMatchObject({ key: new Uint8Array(Buffer.from(keys[0])), value: new Uint8Array(0) });
    expect(bare.version).toBeGreaterThan(0);
  });

  test('return values of the maximal size, a page each', async () => {
    const large = ['0/large', 'W/large', 'm/large'];
    const value = Buffer.alloc(mib, 'x');
    for (const key of large) await client.put(key, value);
    const pages = await collect(client.scanPages({ start: '0/l' }));
    const found = pages.flatMap(({ records }) => records).filter((record) => text(record.key).endsWith('large'));
    expect(found.map(({ key }) => text(key))).toEqual(large);
    expect(found.every((record) => value.equals(record.value))).toBe(true);
    for (const key of large) await client.delete(key);
  });

  test.each([{ reverse: false }, { reverse: true }])(
    'show one moment, while writes go on: %o',
    async ({ reverse }) => {
      // Counts on the left, then on the right, one after the other: at every moment left is right, or one ahead.
      const [left, right] = ['0/!left', 'm/~right'];
      const counted = new Tally();
      let stopping = false;
      await client.put(left, '0');
      await client.put(right, '0');
      const writer = (async () => {
        for (let next = 1; !stopping; next++) {
          await client.put(left, String(next));
          await client.put(right, String(next));
          counted.add();
        }
      })();
      try {
        for (let round = 0; round < 3; round++) {
          const countedBefore = counted.value;
          const seen = new Map<string, number>();
          for await (const page of client.scanPages({ reverse, pageBytes: 2000 })) {
            for (const { key, value } of page.records) seen.set(text(key), Number(text(value)));
            // Between one page and the next both sides change.
            await counted.reaches(counted.value + 1);
          }
          const ahead = (seen.get(left) ?? NaN) - (seen.get(right) ?? NaN);
          expect([0, 1]).toContain(ahead);
          expect(seen.get(right)).toBeGreaterThanOrEqual(countedBefore);
          expect(seen.size).toBe(keys.length + 2);
        }
      } finally {
        stopping = true;
        await writer;
      }
      await client.delete(left);
      await client.delete(right);
    },
    60_000,
  );
});

describe('without a quorum', () => {
  /** The node's own default; a caller without a deadline gets the node's answer for sure. */
  const timeoutMs = 5000;
  const marginMs = 3000;

  interface Refusal {
    readonly status: string;
    readonly detail: Message;
    readonly elapsedMs: number;
  }

  async function refusal(method: string, request: Message): Promise<Refusal> {
    const beganMs = performance.now();
    const error: ServiceError = await failure(raw.unary(method, request));
    const elapsedMs = performance.now() - beganMs;
    return { status: GrpcStatus[error.code], detail: errorDetail(error), elapsedMs };
  }

  beforeAll(async () => {
    for (const key of shardKeys) await client.put(key, 'before');
    await untilStatus(client, 'replicas that have applied the same', isCaughtUp);
    await Promise.all(cluster.nodes.slice(1).map((node) => node.kill()));
  }, 30_000);

  test('stale reads go on, within their bound', async () => {
    for (const key of shardKeys) {
      const { found } = await raw.unary('Get', { key: Buffer.from(key), consistency: 'CONSISTENCY_STALE' });
      expect(found).toMatchObject({ value: Buffer.from('before') });
    }
  });

  test('reads and writes fail within their deadline, naming the shard', async () => {
    await until('the node that is left to know of no leader', 20_000, async () => {
      const { shards } = await client.shardMap();
      return shards.every(({ leader }) => leader === undefined);
    });
    const refused = await Promise.all(
      shardKeys.flatMap((name) => {
        const key = Buffer.from(name);
        return [
          refusal('Get', { key }),
          refusal('Put', { key, value: Buffer.from('refused') }),
          refusal('Delete', { key }),
        ];
      }),
    );
    for (const [i, { status, detail, elapsedMs }] of refused.entries()) {
      expect({ status, detail }).toEqual({
        status: 'UNAVAILABLE',
        detail: {
          code: 'ERROR_CODE_SHARD_UNAVAILABLE',
          outcome: 'OUTCOME_NOT_APPLIED',
          shard: Math.floor(i / 3) + 1,
          retryable: true,
        },
      });
      expect(elapsedMs).toBeLessThan(timeoutMs + marginMs);
    }
  }, 30_000);

  test('the TypeScript client says the same', async () => {
    const put = await clientFailure(client.put(shardKeys[2], 'refused', { deadlineMs: 2000 }));
    expect(put).toMatchObject({ code: 'SHARD_UNAVAILABLE', outcome: 'notApplied', shard: 3, retryable: true });
    const get = await clientFailure(client.get(shardKeys[3], { deadlineMs: 2000 }));
    expect(get).toMatchObject({ code: 'SHARD_UNAVAILABLE', outcome: 'notApplied', shard: 4, retryable: true });
    const scan = await clientFailure(collect(client.scan({ deadlineMs: 2000 })));
    expect(scan).toMatchObject({ code: 'SHARD_UNAVAILABLE', outcome: 'notApplied' });
    expect(scan.shard).toBeDefined();
  }, 30_000);

  test('with the others back, what was refused has not happened, and writes go on', async () => {
    await Promise.all(cluster.nodes.map((node) => node.start()));
    await client.put('m/b', 'after', { deadlineMs: 30_000 });
    for (const key of shardKeys) {
      const read = await client.get(key, { deadlineMs: 20_000 });
      expect(read.type === 'found' ? text(read.value) : read).toBe('before');
    }
  }, 60_000);
});
