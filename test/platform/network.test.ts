import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deferred, type Deferred } from '../../src/base/promises.js';
import type { Listener } from '../../src/env/network.js';
import { TcpNetwork, parseAddress } from '../../src/platform/network.js';
import { Recorder } from '../sim/recorder.js';

describe('TcpNetwork and strangers', () => {
  const network = new TcpNetwork({ peerFrameBytesMax: 1000, connectTimeoutMs: 50, connectionsMax: 1 });
  let listener: Listener;
  let accepted: Deferred<Recorder>;
  let socket: Socket;

  beforeEach(async () => {
    accepted = deferred();
    listener = await network.listen('127.0.0.1:0', (connection) => accepted.resolve(new Recorder(connection)));
    socket = connect(parseAddress(listener.address));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
  });
  afterEach(async () => {
    socket.destroy();
    await listener.close();
  });

  test('garbage ends the connection with an error that says what came from whom', async () => {
    socket.write('GET / HTTP/1.1\r\nHost: quorate\r\n\r\n');
    const error = await (await accepted.promise).over;
    expect(error?.message).toMatch(
      /^127\.0\.0\.1:\d+ sent a frame of 542393671 bytes.*limit peerFrameBytesMax of 1000/,
    );
  });

  test('an end within a frame is an error, one between frames is not', async () => {
    socket.end(new Uint8Array([5, 0, 0]));
    expect((await (await accepted.promise).over)?.message).toMatch(/ended within a frame$/);
  });

  test('an end between frames is in order', async () => {
    socket.end();
    expect(await (await accepted.promise).over).toBeUndefined();
  });

  test('a broken connection is an error', async () => {
    const far = await accepted.promise;
    socket.resetAndDestroy();
    expect(await far.over).toMatchObject({ code: 'ECONNRESET' });
  });

  test('more connections than allowed are closed', async () => {
    const second = new Recorder(network.connect(listener.address));
    await second.over;
    expect(second.heard).toHaveLength(1);
  });

  test('what is too long to be received is not sent', async () => {
    const far = await accepted.promise;
    expect(() => far.connection.send(new Uint8Array(1001))).toThrow('peerFrameBytesMax');
  });

  test('a peer that reads nothing fills the queue, which shows, and cannot hold up a close for ever', async () => {
    const far = await accepted.promise;
    socket.pause();
    for (let i = 0; i < 20_000; i++) far.connection.send(new Uint8Array(1000));
    await new Promise(setImmediate);
    expect(far.connection.queuedBytes).toBeGreaterThan(1_000_000);
    far.connection.close();
    await far.over;
  });
});

test('connecting to a host that does not answer gives up in time, and says so', async () => {
  // A thread that listens and sleeps: once its queue is full the kernel drops what comes.
  const sleeper = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const server = require('node:net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
     });`,
    { eval: true },
  );
  const [port] = (await once(sleeper, 'message')) as [number];
  const fillers = Array.from({ length: 2 }, () => connect({ host: '127.0.0.1', port }));
  await Promise.all(fillers.map((filler) => once(filler, 'connect')));
  const address = `127.0.0.1:${port}`;
  const late = new Recorder(new TcpNetwork({ peerFrameBytesMax: 1000, connectTimeoutMs: 50 }).connect(address));
  expect((await late.over)?.message).toBe(`no connection to ${address} within 50 ms`);
  for (const filler of fillers) filler.destroy();
  await sleeper.terminate();
});

describe('parseAddress', () => {
  test.each([
    ['localhost:7001', { host: 'localhost', port: 7001 }],
    ['10.0.0.1:0', { host: '10.0.0.1', port: 0 }],
    ['[::1]:65535', { host: '::1', port: 65535 }],
  ])('%s', (address, parts) => {
    expect(parseAddress(address)).toEqual(parts);
  });

  test.each(['', 'localhost', ':7001', 'a:b', 'a:65536', 'a:123456', '::1:7001', 'a b:1', '[::1]'])(
    'refuses %j',
    (address) => {
      expect(() => parseAddress(address)).toThrow('host:port');
    },
  );
});
