/** A node that says nothing for a while, as one does whose process gets no processor, behind a connection that stays. */
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.js';
import { FakeBackend, FakeState } from '../rpc/fake-backend.js';
import { startServer } from '../rpc/harness.js';
import { leaders } from './cluster.js';

/** Longer than machines take a processor away, shorter than a node that hangs is waited for. */
const silentMs = 2500;

interface Proxy {
  readonly address: string;
  readonly sockets: readonly Socket[];
  readonly connections: () => number;
}

async function startProxy(target: string): Promise<Proxy> {
  const sockets: Socket[] = [];
  let connections = 0;
  const server = createServer((near) => {
    connections++;
    const far = connectTcp(Number(target.split(':').at(-1)), '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    connections: () => connections,
  };
}

test('keeps its stream and its operations', async () => {
  const node = await startServer({ backend: new FakeBackend(new FakeState()) });
  onTestFinished(() => node[Symbol.asyncDispose]());
  const proxy = await startProxy(node.address);
  leaders([{ ...node, address: proxy.address }], 1, [1, 1]);
  const client = await connect({ endpoints: [proxy.address] });
  onTestFinished(() => client.close());
  await client.put('a', 'before');
  const connections = proxy.connections();
  for (const socket of proxy.sockets) socket.pause();
  const put = client.put('a', 'meanwhile');
  await setTimeout(silentMs);
  for (const socket of proxy.sockets) socket.resume();
  expect(await put).toMatchObject({ type: 'written' });
  expect(proxy.connections()).toBe(connections);
});
