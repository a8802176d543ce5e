import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import type { ScanRecord } from '../../src/client/index.js';
import { FakeBackend, twoShardMap } from '../rpc/fake-backend.js';
import { startServer, until } from '../rpc/harness.js';
import { cluster, rejection, type Cluster } from './cluster.js';

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
