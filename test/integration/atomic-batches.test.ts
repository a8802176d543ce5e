/** Atomic batches over real sockets: through every node, over the limits, under an id that comes again, beside readers. */
import { status as GrpcStatus } from '@grpc/grpc-js';
import { connect, QuorateError, type AtomicOperation, type Client } from 'quorate';
import { startCluster, type TestCluster } from 'quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorDetail, failure, rawClient } from '../rpc/harness.js';

const mib = 1024 * 1024;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const put = (key: string, value: string): AtomicOperation => ({ type: 'put', key, value });

let cluster: TestCluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, shards: 4 });
  client = await connect({ endpoints: cluster.endpoints });
}, 60_000);

afterAll(async () => {
  await client.close();
  await cluster[Symbol.asyncDispose]();
});

describe('an atomic batch', () => {
  test('takes effect through any node, once under its id, and tells what its conditions met', async () => {
    const nodes = cluster.endpoints.map((endpoint) => rawClient(endpoint));
    const [a, b] = ['G/a', 'G/b'].map((key) => Buffer.from(key));
    const batch = {
      operations: [
        { key: a, put: Buffer.from('1'), condition: { absent: {} } },
        { key: b, put: Buffer.from('1'), condition: { absent: {} } },
      ],
      request_id: { session: Buffer.alloc(16, 5), seq: 1 },
    };
    const answers = [];
    for (const node of nodes) answers.push(await node.unary('AtomicBatch', batch));
    const [{ written }] = answers;
    expect(answers).toEqual([{ written }, { written }, { written }]);
    const refused = { ...batch, request_id: { session: Buffer.alloc(16, 5), seq: 2 } };
    const present = { ...(written as object), value: Buffer.from('1') };
    for (const node of nodes) {
      expect(await node.unary('AtomicBatch', refused)).toEqual({
        conditions_failed: { conditions: [{ present }, { index: 1, present }] },
      });
      node.close();
    }
    expect(
      await client.atomicBatch([
        { type: 'delete', key: 'G/a' },
        { type: 'delete', key: 'G/b' },
      ]),
    ).toMatchObject({
      type: 'written',
    });
    expect(await client.get('G/a')).toEqual({ type: 'absent' });
  });

  test('of keys in two shards is refused, by every node, and the error names two of them', async () => {
    const operations = ['G/a', 'G/b', 'W/c', 'm/d'].map((key) => ({ key: Buffer.from(key), put: Buffer.from('1') }));
    for (const endpoint of cluster.endpoints) {
      const node = rawClient(endpoint);
      const error = await failure(node.unary('AtomicBatch', { operations }));
      node.close();
      expect(GrpcStatus[error.code]).toBe('FAILED_PRECONDITION');
      expect(error.details).toMatch(/"G\/a" and "W\/c"/);
      expect(errorDetail(error)).toEqual({
        code: 'ERROR_CODE_KEYS_IN_DIFFERENT_SHARDS',
        outcome: 'OUTCOME_NOT_APPLIED',
      });
    }
    expect(await client.get('G/a')).toEqual({ type: 'absent' });
  });

  test.each<[string, AtomicOperation[], RegExp]>([
    ['more operations', Array.from({ length: 1025 }, (_, i) => put(`G/${i}`, '')), /batchOperationsMax/],
    ['more bytes', ['1', '2', '3'].map((key) => put(`G/${key}`, 'v'.repeat(mib))), /entryBytesMax, which is 2097152/],
    ['a longer value', [put('G/1', 'v'.repeat(mib + 1))], /operations\[0\]: .*valueBytesMax/],
    [
      'a key twice',
      [put('G/1', '1'), put('G/2', '1'), put('G/1', '2')],
      /operations\[2\] has the key of operations\[0\]/,
    ],
  ])('of %s than may be is refused with the name of the limit', async (_, operations, message) => {
    const error = await failure(client.atomicBatch(operations));
    expect(error).toBeInstanceOf(QuorateError);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'notApplied' });
    expect(String(error)).toMatch(message);
    expect(await client.get('G/1')).toEqual({ type: 'absent' });
  });

  test('of as much as may be takes effect', async () => {
    const many = Array.from({ length: 1024 }, (_, i) => put(`G/${String(i).padStart(4, '0')}`, 'v'.repeat(1900)));
    expect(await client.atomicBatch(many)).toMatchObject({ type: 'written' });
    const versions = new Set<number>();
    for await (const { version } of client.scan({ prefix: 'G/' })) versions.add(version);
    expect(versions.size).toBe(1);
    await client.atomicBatch(many.map(({ key }) => ({ type: 'delete', key })));
  });

  test('is seen as a whole: money moves between accounts and none is lost', async () => {
    const accounts = ['W/a', 'W/b', 'W/c'];
    await client.atomicBatch(accounts.map((key) => put(key, '100')));
    const read = async (key: string): Promise<{ amount: number; version: number }> => {
      const found = await client.get(key);
      if (found.type === 'absent') throw new Error(`${key} is gone`);
      return { amount: Number(text(found.value)), version: found.version };
    };
    let moved = 0;
    let refused = 0;
    const move = async (from: string, to: string, rest: string): Promise<void> => {
      const [source, target] = [await read(from), await read(to)];
      const result = await client.atomicBatch([
        { type: 'put', key: from, value: String(source.amount - 1), ifVersion: source.version },
        { type: 'put', key: to, value: String(target.amount + 1), ifVersion: target.version },
        // Two that move at the same time collide on this, too.
        { type: 'check', key: rest, ifVersion: (await read(rest)).version },
      ]);
      if (result.type === 'written') moved++;
      else refused++;
    };
    const audit = async (): Promise<void> => {
      let total = 0;
      for await (const { value } of client.scan({ prefix: 'W/' })) total += Number(text(value));
      expect(total).toBe(300);
    };
    const mover = async (first: number): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        const at = (k: number): string => accounts[(first + i + k) % accounts.length];
        await move(at(0), at(1), at(2));
      }
    };
    const auditor = (async () => {
      for (let i = 0; i < 30; i++) await audit();
    })();
    await Promise.all([mover(0), mover(1), mover(2), auditor]);
    expect(moved).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
    await audit();
  }, 30_000);
});
