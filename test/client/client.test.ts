import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { ShardId } from '../../src/base/ids.js';
import { connect, type Client, type ClientOptions, type ScanRecord } from '../../src/client/index.js';
import { FakeBackend, FakeState, sampleStatus, twoShardMap } from '../rpc/fake-backend.js';
import { startServer, until, type TestServer } from '../rpc/harness.js';

interface Cluster {
  readonly client: Client;
  readonly state: FakeState;
  readonly nodes: readonly TestServer[];
}

/** Two nodes of one state; the first leads the keys before `m`, the second the others. */
async function cluster(options: Partial<ClientOptions> = {}): Promise<Cluster> {
  const state = new FakeState();
  const nodes = [
    await startServer({ backend: new FakeBackend(state) }),
    await startServer({ backend: new FakeBackend(state) }),
  ];
  leaders(nodes, 1, [1, 2]);
  const client = await connect({ endpoints: [nodes[0].address], ...options });
  onTestFinished(async () => {
    for (const { backend } of nodes) backend.releaseHeld();
    await client.close();
    for (const node of nodes) await node[Symbol.asyncDispose]();
  });
  return { client, state, nodes };
}

function leaders(nodes: readonly TestServer[], revision: number, ids: [number, number]): void {
  const addresses = nodes.map(({ address }) => address);
  for (const { backend } of nodes) backend.map = twoShardMap(revision, addresses, ids);
}

const rejection = async (promise: Promise<unknown>): Promise<QuorateError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(QuorateError);
  return error as QuorateError;
};

describe('client', () => {
  it('puts, gets and deletes, with text and with bytes', async () => {
    const { client } = await cluster();
    expect(await client.get('k')).toEqual({ type: 'absent' });
    const put = await client.put('k', new Uint8Array([1, 2]));
    const version = put.type === 'written' ? put.version : 0;
    expect(await client.get(new Uint8Array([0x6b]))).toEqual({
      type: 'found',
      version,
      value: new Uint8Array([1, 2]),
    });
    expect(await client.put('k', 'x', { ifAbsent: true })).toMatchObject({
      type: 'conditionFailed',
      current: { version },
    });
    expect(await client.put('k', 'x', { ifVersion: version })).toMatchObject({ type: 'written' });
    expect(await client.delete('k', { ifValue: 'y' })).toMatchObject({ type: 'conditionFailed' });
    expect(await client.delete('k')).toMatchObject({ type: 'written' });
    expect(await client.delete('k')).toEqual({ type: 'nothingDeleted' });
    expect(await client.put('k', 'x', { ifVersion: version })).toEqual({ type: 'conditionFailed', current: undefined });
  });

  it('sends each operation to the leader of its shard', async () => {
    const { client, nodes } = await cluster();
    await Promise.all([client.put('a', '1'), client.put('z', '2'), client.get('m', { consistency: 'stale' })]);
    const keys = nodes.map(({ backend }) => backend.submitted.map(({ operation }) => fromUtf8(operation.key)));
    expect(keys).toEqual([['a'], ['z', 'm']]);
  });

  it('executes a batch, with errors as results', async () => {
    const { client } = await cluster();
    const results = await client.batch([
      { type: 'put', key: 'a', value: '1' },
      { type: 'put', key: 'z', value: '2', ifAbsent: true },
      { type: 'get', key: '' },
      { type: 'delete', key: 'q' },
    ]);
    expect(results).toMatchObject([
      { type: 'written' },
      { type: 'written' },
      { type: 'failed', error: { code: 'INVALID_ARGUMENT', outcome: 'notApplied' } },
      { type: 'nothingDeleted' },
    ]);
  });

  it('throws what a node refuses', async () => {
    const { client } = await cluster();
    expect(await rejection(client.put('a', new Uint8Array(2 ** 20 + 1)))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      outcome: 'notApplied',
      message: expect.stringContaining('valueBytesMax') as unknown,
    });
    expect(await rejection(client.put('a', new Uint8Array(2 ** 23)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('copies what it is given', async () => {
    const { client } = await cluster();
    const value = Buffer.from('before');
    const key = Buffer.from('key');
    const put = client.put(key, value);
    value.fill(0);
    key.fill(0);
    await put;
    expect(await client.get('key')).toMatchObject({ type: 'found', value: new Uint8Array(Buffer.from('before')) });
  });

  it('carries thousands of operations at once', async () => {
    const { client, state } = await cluster({ operationsInFlightMax: 100 });
    await Promise.all(Array.from({ length: 5000 }, (_, i) => client.put(`${i % 2 === 0 ? 'a' : 'z'}${i}`, `${i}`)));
    expect(state.applied).toHaveLength(5000);
    expect(new Set(state.applied).size).toBe(5000);
  });

  it('gives the status and the shard map', async () => {
    const { client } = await cluster();
    expect(await client.status()).toEqual(sampleStatus);
    expect((await client.shardMap()).shards.map(({ leader }) => leader)).toEqual([1, 2]);
  });
});

describe('when things go wrong', () => {
  it('follows a leader that moved', async () => {
    const { client, nodes } = await cluster();
    await client.put('a', '1');
    nodes[0].backend.onSubmit = () => new QuorateError('NOT_LEADER', 'moved', { shard: ShardId(1) });
    leaders(nodes, 2, [2, 2]);
    expect(await client.put('a', '2')).toMatchObject({ type: 'written' });
    await until(() => true);
    await client.shardMap();
    const before = nodes[0].backend.submitted.length;
    await client.put('a', '3');
    expect(nodes[0].backend.submitted).toHaveLength(before);
  });

  it('applies a write once whose answer is lost with its connection', async () => {
    const { client, nodes, state } = await cluster();
    await client.put('a', '0');
    nodes[0].backend.onSubmit = () => 'loseAnswer';
    const puts = Array.from({ length: 50 }, (_, i) => client.put(`a${i}`, 'x'));
    await until(() => state.applied.length === 51);
    nodes[0].server.close();
    expect(new Set((await Promise.all(puts)).map(({ type }) => type))).toEqual(new Set(['written']));
    expect(state.applied).toHaveLength(51);
    // The other node was asked again, with the ids of the first attempts.
    const ids = ({ backend }: TestServer): string[] =>
      backend.submitted.map(({ operation }) => (operation.type === 'put' ? String(operation.requestId.seq) : ''));
    expect(ids(nodes[1]).sort()).toEqual(ids(nodes[0]).slice(1).sort());
  });

  it('gets a conditional write right whose answer is lost', async () => {
    const { client, nodes, state } = await cluster();
    nodes[0].backend.onSubmit = () => 'loseAnswer';
    const put = client.put('a', '1', { ifAbsent: true });
    await until(() => state.applied.length === 1);
    nodes[0].server.close();
    expect(await put).toMatchObject({ type: 'written' });
  });

  it('comes back to a node that is restarted', async () => {
    const { client, nodes } = await cluster();
    await client.put('a', '1');
    for (const { server } of nodes) server.close();
    const put = client.put('a', '2');
    const again = await startServer({ backend: nodes[0].backend, address: nodes[0].address });
    onTestFinished(() => again[Symbol.asyncDispose]());
    expect(await put).toMatchObject({ type: 'written' });
  });

  it('waits as long as an overloaded node says', async () => {
    const { client, nodes } = await cluster();
    let refusals = 0;
    nodes[0].backend.onSubmit = () =>
      ++refusals <= 2 ? new QuorateError('OVERLOADED', 'full', { retryAfterMs: 20 }) : 'execute';
    const startMs = performance.now();
    await client.put('a', '1');
    expect(performance.now() - startMs).toBeGreaterThan(35);
    expect(nodes[0].backend.submitted).toHaveLength(3);
  });

  it('does not try again what is not worth it', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => new QuorateError('DISK_FULL', 'full');
    expect(await rejection(client.put('a', '1'))).toMatchObject({ code: 'DISK_FULL', outcome: 'notApplied' });
    expect(nodes[0].backend.submitted).toHaveLength(1);
  });

  it('names the shard that had no quorum until the deadline', async () => {
    const { client, nodes } = await cluster();
    const error = new QuorateError('SHARD_UNAVAILABLE', 'no quorum', { shard: ShardId(1) });
    for (const { backend } of nodes) backend.onSubmit = () => error;
    const result = await rejection(client.put('a', '1', { deadlineMs: 200 }));
    expect(result).toMatchObject({ outcome: 'notApplied', shard: 1 });
    expect(nodes[1].backend.submitted.length).toBeGreaterThan(0);
  });

  it('does not know the outcome of a write that was sent, at its deadline', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => 'hold';
    expect(await rejection(client.put('a', '1', { deadlineMs: 100 }))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      outcome: 'unknown',
    });
    expect(nodes[0].backend.held[0].timeoutMs).toBeLessThanOrEqual(90);
    expect(await rejection(client.get('a', { deadlineMs: 50 }))).toMatchObject({ outcome: 'notApplied' });
  });

  it('knows that a write was not applied that was never sent', async () => {
    const { client, nodes } = await cluster({ operationsInFlightMax: 1 });
    nodes[0].backend.onSubmit = () => 'hold';
    const sent = rejection(client.put('a', '1', { deadlineMs: 300 }));
    const queued = rejection(client.put('b', '2', { deadlineMs: 100 }));
    expect(await queued).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'notApplied' });
    expect(await sent).toMatchObject({ outcome: 'unknown' });
    expect(nodes[0].backend.submitted).toHaveLength(1);
    // The place of the one that was given up is free again.
    nodes[0].backend.onSubmit = () => 'execute';
    expect(await client.put('c', '3')).toMatchObject({ type: 'written' });
  });

  it('knows the same when no node can be reached', async () => {
    const { client, nodes } = await cluster();
    for (const { server } of nodes) server.close();
    expect(await rejection(client.put('a', '1', { deadlineMs: 150 }))).toMatchObject({ outcome: 'notApplied' });
  });

  it('keeps an unknown outcome when a later attempt was refused', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => new QuorateError('SHARD_UNAVAILABLE', 'perhaps', { outcome: 'unknown' });
    nodes[1].backend.onSubmit = () => new QuorateError('INTERNAL', 'no');
    expect(await rejection(client.put('a', '1'))).toMatchObject({ code: 'INTERNAL', outcome: 'unknown' });
  });

  it('ends a call by its signal', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => 'hold';
    const controller = new AbortController();
    const put = rejection(client.put('a', '1', { signal: controller.signal }));
    await until(() => nodes[0].backend.held.length === 1);
    controller.abort(new Error('enough'));
    expect(await put).toMatchObject({ code: 'CANCELLED', outcome: 'unknown', message: 'cancelled: enough' });
    expect(await rejection(client.put('a', '1', { signal: controller.signal }))).toMatchObject({
      code: 'CANCELLED',
      outcome: 'notApplied',
    });
  });

  it('refuses more than it may have open', async () => {
    const { client, nodes } = await cluster({ operationsOpenMax: 3, deadlineMs: 500 });
    nodes[0].backend.onSubmit = () => 'hold';
    const puts = ['a', 'b', 'c'].map((key) => client.put(key, '1'));
    expect(await rejection(client.put('d', '1'))).toMatchObject({ code: 'OVERLOADED', outcome: 'notApplied' });
    await until(() => nodes[0].backend.held.length === 3);
    nodes[0].backend.releaseHeld();
    await Promise.all(puts);
  });

  it('says that the time was too short, where it was', async () => {
    const { nodes } = await cluster();
    const error = await rejection(connect({ endpoints: [nodes[0].address], deadlineMs: 0.01 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('says that no endpoint answers', async () => {
    const { nodes } = await cluster();
    for (const { server } of nodes) server.close();
    const error = await rejection(connect({ endpoints: [nodes[0].address], deadlineMs: 200 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
    expect(error.message).toContain(nodes[0].address);
  });

  it('answers what is open before it closes, and nothing after', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => 'hold';
    const put = client.put('a', '1');
    await until(() => nodes[0].backend.held.length === 1);
    const closed = client.close();
    nodes[0].backend.releaseHeld();
    expect(await put).toMatchObject({ type: 'written' });
    await closed;
    expect(await rejection(client.get('a'))).toMatchObject({ code: 'CANCELLED', outcome: 'notApplied' });
    expect(await rejection(client.status())).toMatchObject({ code: 'CANCELLED' });
  });
});

describe('scan', () => {
  async function filled(): Promise<Cluster> {
    const made = await cluster();
    for (const key of ['a', 'b', 'c', 'x', 'y']) await made.client.put(key, `value of ${key}`);
    return made;
  }

  async function keysOf(records: AsyncIterable<ScanRecord>): Promise<string> {
    let keys = '';
    for await (const { key } of records) keys += fromUtf8(key);
    return keys;
  }

  it('reads all pages', async () => {
    const { client } = await filled();
    expect(await keysOf(client.scan())).toBe('abcxy');
    expect(await keysOf(client.scan({ reverse: true, limit: 3 }))).toBe('yxc');
    expect(await keysOf(client.scan({ start: 'b', end: 'y' }))).toBe('bcx');
    const pages = [];
    for await (const page of client.scanPages({ prefix: 'a' })) pages.push(page);
    expect(pages).toMatchObject([{ readTs: 1000, records: [{ value: new Uint8Array(Buffer.from('value of a')) }] }]);
  });

  it('stops the node when the reader stops', async () => {
    const { client, nodes } = await filled();
    let stopped: AbortSignal | undefined;
    nodes[0].backend.beforePage = (page, signal) => {
      stopped = signal;
      return page === 0 ? undefined : new Promise(() => undefined);
    };
    for await (const { key } of client.scan()) {
      expect(fromUtf8(key)).toBe('a');
      break;
    }
    await until(() => stopped?.aborted === true);
  });

  it('tries another node before the first page', async () => {
    const { client, nodes } = await filled();
    nodes[0].backend.beforePage = () => {
      throw new QuorateError('SHARD_UNAVAILABLE', 'not here');
    };
    expect(await keysOf(client.scan())).toBe('abcxy');
    expect(nodes[1].backend.scans).toHaveLength(1);
  });

  it('goes on elsewhere, at the same timestamp, when a page fails', async () => {
    const { client, nodes } = await filled();
    nodes[0].backend.beforePage = (page) => {
      if (page === 1) throw new QuorateError('UNAVAILABLE', 'broken');
    };
    expect(await keysOf(client.scan())).toBe('abcxy');
    const asked = nodes.flatMap(({ backend }) => backend.scans).map(({ readTs }) => readTs);
    expect(asked).toEqual([0, 1000]);
  });

  /** The shard map names addresses that this client cannot reach, as one for the nodes' own network would. */
  async function advertising(made: Cluster, addresses: readonly string[]): Promise<void> {
    const map = twoShardMap(2, addresses, [1, 2]);
    for (const { backend } of made.nodes) backend.map = map;
    await made.client.shardMap();
  }

  /** A port that nobody listens on: connections are refused. */
  async function refusing(): Promise<string> {
    const server = await startServer();
    await server[Symbol.asyncDispose]();
    return server.address;
  }

  /** Connections are accepted, and nothing is ever said. */
  async function silent(): Promise<string> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it('reaches the endpoint that works past any number of advertised addresses that do not', async () => {
    const made = await filled();
    await advertising(made, [await refusing(), await refusing(), await refusing()]);
    expect(await keysOf(made.client.scan({ pageDeadlineMs: 2000 }))).toBe('abcxy');
  });

  it('goes on to the third node when two refuse again and again', async () => {
    const made = await filled();
    const third = await startServer({ backend: new FakeBackend(made.state) });
    onTestFinished(() => third[Symbol.asyncDispose]());
    await advertising(made, [...made.nodes.map(({ address }) => address), third.address]);
    for (const { backend } of made.nodes) {
      backend.onSubmit = () => new QuorateError('NODE_STOPPING', 'not here');
      backend.beforePage = () => {
        throw new QuorateError('NODE_STOPPING', 'not here');
      };
    }
    expect(await keysOf(made.client.scan({ pageDeadlineMs: 2000 }))).toBe('abcxy');
    expect(await made.client.put('a', '2', { deadlineMs: 2000 })).toMatchObject({ type: 'written' });
  });

  it('leaves alone for a while what another scan has waited for in vain', async () => {
    const made = await filled();
    await advertising(made, [await silent(), made.nodes[1].address]);
    expect(await keysOf(made.client.scan({ limit: 2 }))).toBe('ab');
    const startMs = performance.now();
    expect(await keysOf(made.client.scan({ limit: 2 }))).toBe('ab');
    expect(performance.now() - startMs).toBeLessThan(900);
  });

  it.each([
    ['before the first page', 0],
    ['between two pages', 1],
  ])('ends when no page comes in time, %s', async (_, stuckAt) => {
    const { client, nodes } = await filled();
    for (const { backend } of nodes) {
      backend.beforePage = (page) => (page === stuckAt ? new Promise(() => undefined) : undefined);
    }
    expect(await rejection(keysOf(client.scan({ pageDeadlineMs: 100 })))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('within 100 ms') as unknown,
    });
  });

  it('does not count the time that the reader takes', async () => {
    const { client } = await filled();
    let keys = '';
    for await (const { records } of client.scanPages({ pageDeadlineMs: 150 })) {
      for (const { key } of records) keys += fromUtf8(key);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(keys).toBe('abcxy');
  });

  it('goes on when only the time of the node for one call is over', async () => {
    const { client, nodes } = await filled();
    for (const { backend } of nodes) {
      backend.beforePage = (page) => {
        if (page === 1) throw new QuorateError('DEADLINE_EXCEEDED', 'not done in time');
      };
    }
    expect(await keysOf(client.scan())).toBe('abcxy');
  });

  it('ends at its deadline and by its signal', async () => {
    const { client, nodes } = await filled();
    nodes[0].backend.beforePage = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    expect(await rejection(keysOf(client.scan({ deadlineMs: 100 })))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const controller = new AbortController();
    const scan = rejection(keysOf(client.scan({ signal: controller.signal })));
    await until(() => nodes[0].backend.scans.length === 2);
    controller.abort();
    expect(await scan).toMatchObject({ code: 'CANCELLED' });
  });

  it('refuses what makes no sense', async () => {
    const { client } = await filled();
    expect(await rejection(keysOf(client.scan({ limit: -1 })))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await rejection(keysOf(client.scan({ start: 'b', end: 'a' })))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
