/** What every `Network` must do: the same tests against the simulated one and TCP on loopback. */
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Prng } from '../../src/base/prng.js';
import { deferred } from '../../src/base/promises.js';
import type { Listener, Network } from '../../src/env/network.js';
import { TcpNetwork } from '../../src/platform/network.js';
import { runTurns } from '../../src/platform/turns.js';
import { SimNetwork } from '../../src/sim/network.js';
import { SimProcess } from '../../src/sim/process.js';
import { Scheduler } from '../../src/sim/scheduler.js';
import { Recorder } from './recorder.js';

interface Place {
  readonly client: Network;
  readonly server: Network;
  /** An address with port 0 that `server` can listen on. */
  readonly anyPort: string;
  /** An address where nobody listens. */
  readonly nobody: string;
  run<T>(test: Promise<T>): Promise<T>;
}

const peerFrameBytesMax = 1024 * 1024;

const places: Record<string, () => Place> = {
  SimNetwork: () => {
    const scheduler = new Scheduler(runTurns);
    const network = new SimNetwork(scheduler, { random: new Prng(1) });
    return {
      client: network.mount(new SimProcess(scheduler, 'n1')),
      server: network.mount(new SimProcess(scheduler, 'n2')),
      anyPort: 'n2:0',
      nobody: 'n2:1',
      run: (promise) => scheduler.complete(promise),
    };
  },
  TcpNetwork: () => ({
    client: new TcpNetwork({ peerFrameBytesMax }),
    server: new TcpNetwork({ peerFrameBytesMax }),
    anyPort: '127.0.0.1:0',
    nobody: '127.0.0.1:1',
    run: (promise) => promise,
  }),
};

interface Pair {
  readonly near: Recorder;
  readonly far: Recorder;
  readonly listener: Listener;
}

async function connected(place: Place): Promise<Pair> {
  const accepted = deferred<Recorder>();
  const listener = await place.server.listen(place.anyPort, (connection) => accepted.resolve(new Recorder(connection)));
  const near = new Recorder(place.client.connect(listener.address));
  return { near, far: await accepted.promise, listener };
}

describe.each(Object.keys(places))('%s', (name) => {
  const check = (title: string, body: (place: Place) => Promise<void>): void => {
    test(title, () => {
      const place = places[name]();
      return place.run(body(place));
    });
  };

  check('carries frames both ways, whole and in order, also those sent before the connection is up', async (place) => {
    const texts = Array.from({ length: 500 }, (_, i) => `${i}:${'x'.repeat((i * i) % 3000)}`);
    const accepted = deferred<Recorder>();
    const listener = await place.server.listen(place.anyPort, (connection) => {
      accepted.resolve(new Recorder(connection));
    });
    const near = new Recorder(place.client.connect(listener.address));
    for (const text of texts) near.connection.send(utf8(text));
    const far = await accepted.promise;
    far.connection.send(utf8(''));
    far.connection.send(utf8('answer'));
    expect(await far.hears(texts.length)).toEqual(texts);
    expect(await near.hears(2)).toEqual(['', 'answer']);
    await listener.close();
  });

  check('carries large frames, and counts what waits', async (place) => {
    const { near, far, listener } = await connected(place);
    const large = 'y'.repeat(peerFrameBytesMax);
    near.connection.send(utf8('hello'));
    for (let i = 0; i < 8; i++) near.connection.send(utf8(large));
    expect(near.connection.queuedBytes).toBeGreaterThanOrEqual(8 * peerFrameBytesMax);
    const [hello, ...heard] = await far.hears(9);
    expect(hello).toBe('hello');
    expect(heard.every((frame) => frame === large)).toBe(true);
    far.connection.send(utf8('seen'));
    await near.hears(1);
    expect(near.connection.queuedBytes).toBe(0);
    await listener.close();
  });

  check('counts the bytes that came', async (place) => {
    const { near, far, listener } = await connected(place);
    expect(far.connection.receivedBytes).toBe(0);
    near.connection.send(utf8('x'.repeat(1000)));
    await far.hears(1);
    const received = far.connection.receivedBytes;
    expect(received).toBeGreaterThanOrEqual(1000);
    near.connection.send(utf8('y'));
    await far.hears(2);
    expect(far.connection.receivedBytes).toBeGreaterThan(received);
    expect(near.connection.receivedBytes).toBe(0);
    await listener.close();
  });

  check('delivers what was sent before a close, then the end, once on each side', async (place) => {
    const { near, far, listener } = await connected(place);
    near.connection.send(utf8('last'));
    near.connection.close();
    near.connection.close();
    near.connection.send(utf8('too late'));
    expect(await far.over).toBeUndefined();
    expect(await near.over).toBeUndefined();
    await listener.close();
    expect(far.heard).toEqual(['last', 'end']);
    expect(near.heard).toEqual(['end']);
  });

  check('hears nothing after its own close', async (place) => {
    const { near, far, listener } = await connected(place);
    for (let i = 0; i < 10; i++) far.connection.send(utf8(`${i}`));
    near.connection.close();
    await near.over;
    await far.over;
    expect(near.heard).toEqual(['end']);
    await listener.close();
  });

  check('a listener that closes ends its connections and takes no more', async (place) => {
    const { near, far, listener } = await connected(place);
    await listener.close();
    expect(await near.over).toBeUndefined();
    expect(await far.over).toBeUndefined();
    const late = new Recorder(place.client.connect(listener.address));
    expect(await late.over).toBeInstanceOf(Error);
  });

  check('tells of a connection that does not come up', async (place) => {
    const near = new Recorder(place.client.connect(place.nobody));
    near.connection.send(utf8('lost'));
    expect(await near.over).toBeInstanceOf(Error);
    expect(near.heard).toHaveLength(1);
  });

  check('a connection can be closed before it is up', async (place) => {
    const near = new Recorder(place.client.connect(place.nobody));
    near.connection.close();
    await near.over;
    expect(near.heard).toHaveLength(1);
  });

  check('refuses an address that is taken, and one that is none', async (place) => {
    const listener = await place.server.listen(place.anyPort, () => undefined);
    await expect(place.server.listen(listener.address, () => undefined)).rejects.toThrow('in use');
    await expect(async () => place.server.listen('nonsense', () => undefined)).rejects.toThrow('host:port');
    await listener.close();
  });
});

test('the address of a listener has the port that was taken', async () => {
  const place = places.TcpNetwork();
  const listener = await place.server.listen('127.0.0.1:0', () => undefined);
  expect(listener.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
  await listener.close();
});
