import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Prng } from '../../src/base/prng.js';
import type { Connection, Network } from '../../src/env/network.js';
import { runTurns } from '../../src/platform/turns.js';
import { SimNetwork } from '../../src/sim/network.js';
import { SimProcess } from '../../src/sim/process.js';
import { Scheduler } from '../../src/sim/scheduler.js';
import { Recorder } from './recorder.js';

/** Two hosts with a connection between them, open since virtual time 100 ms. */
class Fixture {
  readonly scheduler = new Scheduler(runTurns);
  readonly network = new SimNetwork(this.scheduler, { random: new Prng(7), breakAfterMs: 1000, connectTimeoutMs: 500 });
  readonly n1 = new SimProcess(this.scheduler, 'n1');
  readonly n2 = new SimProcess(this.scheduler, 'n2');
  readonly net1: Network = this.network.mount(this.n1);
  readonly net2: Network = this.network.mount(this.n2);
  readonly accepted: Recorder[] = [];

  static async start(): Promise<{ fixture: Fixture; near: Recorder; far: Recorder }> {
    const fixture = new Fixture();
    const { net2, accepted, scheduler } = fixture;
    await net2.listen('n2:1', (connection) => accepted.push(new Recorder(connection)));
    const near = fixture.connect();
    await scheduler.run(100);
    return { fixture, near, far: accepted[0] };
  }

  connect(): Recorder {
    return new Recorder(this.net1.connect('n2:1'));
  }

  /** Runs `ms` further. */
  pass(ms: number): Promise<void> {
    return this.scheduler.run(this.scheduler.nowMs + ms);
  }
}

const send = (end: Recorder, ...texts: string[]): void => {
  for (const text of texts) end.connection.send(utf8(text));
};

describe('SimNetwork', () => {
  test('a blocked direction stalls and, healed in time, delivers all in order', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.network.setLink('n1', 'n2', { state: 'blocked' });
    send(near, 'a', 'b');
    await fixture.pass(500);
    send(near, 'c');
    expect(far.heard).toEqual([]);
    expect(near.connection.queuedBytes).toBe(3);
    fixture.network.heal();
    send(near, 'd');
    await fixture.pass(2000);
    expect(far.heard).toEqual(['a', 'b', 'c', 'd']);
    expect(near.connection.queuedBytes).toBe(0);
  });

  test('a direction that stays blocked breaks the connection on both sides', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.network.setLink('n1', 'n2', { state: 'blocked' });
    send(near, 'lost');
    await fixture.pass(1100);
    expect(near.heard).toEqual(['end: the connection timed out']);
    expect(far.heard).toEqual(['end: the connection timed out']);
  });

  test('one way: frames arrive while answers do not, until the missing acknowledgements break it', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.network.setLink('n2', 'n1', { state: 'blocked' });
    send(near, 'question');
    send(far, 'answer');
    await fixture.pass(900);
    expect(far.heard).toEqual(['question']);
    expect(near.heard).toEqual([]);
    await fixture.pass(200);
    expect(far.heard).toEqual(['question', 'end: the connection timed out']);
    expect(near.heard).toEqual(['end: the connection timed out']);
  });

  test('an idle connection does not notice a partition', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.network.partition([['n1'], ['n2']]);
    await fixture.pass(60_000);
    fixture.network.heal();
    send(near, 'still there');
    await fixture.pass(10);
    expect(far.heard).toEqual(['still there']);
  });

  test('no connection comes up across a partition; it does when healed in time', async () => {
    const { fixture } = await Fixture.start();
    fixture.network.partition([['n1'], ['n2']]);
    const late = fixture.connect();
    await fixture.pass(700);
    expect(late.heard).toEqual(['end: no connection to n2:1 within 500 ms']);
    const patient = fixture.connect();
    send(patient, 'hello');
    await fixture.pass(100);
    fixture.network.heal();
    await fixture.pass(300);
    expect(fixture.accepted[1].heard).toEqual(['hello']);
  });

  test('held frames arrive minutes later, in order, on the same connection', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.network.setLink('n1', 'n2', { state: 'held' });
    send(near, 'a', 'b');
    await fixture.pass(300_000);
    expect(far.heard).toEqual([]);
    fixture.network.setLink('n1', 'n2', { state: 'open' });
    await fixture.pass(10);
    expect(far.heard).toEqual(['a', 'b']);
  });

  test('of a held link a byte may get through, which is a sign of life and no frame; what comes a minute late is counted', async () => {
    const { fixture, near, far } = await Fixture.start();
    const { network } = fixture;
    network.setLink('n1', 'n2', { state: 'held' });
    network.trickle('n1', 'n2');
    expect(far.connection.receivedBytes).toBe(0);
    send(near, 'a');
    await fixture.pass(10);
    network.trickle('n1', 'n2');
    network.trickle('n2', 'n1');
    expect([near.connection.receivedBytes, far.connection.receivedBytes]).toEqual([0, 1]);
    await fixture.pass(30_000);
    send(near, 'b');
    near.connection.close();
    await fixture.pass(30_000);
    expect(far.heard).toEqual([]);
    network.heal();
    await fixture.pass(10);
    expect(far.heard).toEqual(['a', 'b', 'end']);
    expect(network.link('n1', 'n2').oldArrivals).toBe(1);
  });

  test('a close waits behind what was sent, also in a blocked direction', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.network.setLink('n1', 'n2', { state: 'held' });
    send(near, 'a');
    near.connection.close();
    await fixture.pass(5000);
    expect(near.heard).toEqual(['end']);
    expect(far.heard).toEqual([]);
    fixture.network.heal();
    await fixture.pass(10);
    expect(far.heard).toEqual(['a', 'end']);
  });

  test('a reset breaks what is there, and new connections come up', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.network.reset('n2', 'n1');
    await fixture.pass(1);
    expect([near.heard, far.heard]).toEqual([['end: the connection was reset'], ['end: the connection was reset']]);
    const again = fixture.connect();
    send(again, 'hello');
    await fixture.pass(10);
    expect(fixture.accepted[1].heard).toEqual(['hello']);
  });

  test('a dead process resets its connections, hears nothing, and listens no more', async () => {
    const { fixture, near, far } = await Fixture.start();
    send(near, 'not heard');
    fixture.n2.kill();
    await fixture.pass(10);
    expect(far.heard).toEqual([]);
    expect(near.heard).toEqual(['end: the connection was reset by the peer']);
    const refused = fixture.connect();
    await fixture.pass(10);
    expect(refused.heard).toEqual(['end: n2:1 refuses connections']);
  });

  test('of what a process sent before its death a first part arrives', async () => {
    const counts = new Set<number>();
    for (let i = 0; i < 30; i++) {
      const { fixture, near, far } = await Fixture.start();
      for (let draw = 0; draw < i; draw++) fixture.connect().connection.close();
      send(near, '0', '1', '2');
      fixture.n1.kill();
      send(near, 'from a dead process');
      await fixture.pass(50);
      const frames = far.heard.slice(0, -1);
      expect(frames).toEqual(['0', '1', '2'].slice(0, frames.length));
      expect(far.heard.at(-1)).toBe('end: the connection was reset by the peer');
      counts.add(frames.length);
    }
    expect([...counts].sort()).toEqual([0, 1, 2, 3]);
  });

  test('a paused process hears everything when it goes on, in order, and the end last', async () => {
    const { fixture, near, far } = await Fixture.start();
    fixture.n2.pause();
    send(near, 'a', 'b');
    await fixture.pass(60_000);
    near.connection.close();
    await fixture.pass(1000);
    expect(far.heard).toEqual([]);
    fixture.n2.resume();
    await fixture.pass(1);
    expect(far.heard).toEqual(['a', 'b', 'end']);
  });

  test('a connection that came during a pause ends, unseen, when its listener is closed before it', async () => {
    const fixture = new Fixture();
    const listener = await fixture.net2.listen('n2:1', () => expect.unreachable());
    fixture.n2.pause();
    fixture.n2.enter(() => void listener.close());
    const near = fixture.connect();
    send(near, 'a');
    await fixture.pass(50);
    fixture.n2.resume();
    await fixture.pass(50);
    expect(near.heard).toEqual(['end']);
  });

  test('a frame is overwritten when its receiver returns', async () => {
    const fixture = new Fixture();
    const kept: Uint8Array[] = [];
    await fixture.net2.listen('n2:1', (connection: Connection) => {
      connection.start({ onFrame: (frame) => kept.push(frame), onClose: () => undefined });
    });
    const sent = utf8('mine');
    fixture.connect().connection.send(sent);
    await fixture.pass(50);
    expect(kept).toEqual([new Uint8Array(4).fill(0xdd)]);
    expect(sent).toEqual(utf8('mine'));
  });

  test('equal seeds give equal traces under random faults, with the promises of a connection kept', async () => {
    const run = async (seed: number): Promise<string> => {
      const scheduler = new Scheduler(runTurns);
      const random = new Prng(seed);
      const network = new SimNetwork(scheduler, { random: random.split('network'), breakAfterMs: 400 });
      const names = ['n1', 'n2', 'n3'];
      const nets = new Map(names.map((name) => [name, network.mount(new SimProcess(scheduler, name))]));
      const pairs: { sent: string[]; heard: string[] }[] = [];
      for (const [name, net] of nets) {
        await net.listen(`${name}:1`, (connection) => {
          const end = new Recorder(connection);
          // The first frame says which connection it is.
          void end.hears(1).then(([first]) => {
            if (first.startsWith('end')) return;
            pairs[Number(first)].heard = end.heard;
          });
        });
      }
      const ends: { connection: Connection; sent: string[] }[] = [];
      for (let i = 0; i < 400; i++) {
        const [from, to] = random.shuffle([...names]);
        const dice = random.int(0, 19);
        if (dice === 0 || ends.length === 0) {
          const connection = nets.get(from)?.connect(`${to}:1`);
          if (connection === undefined) continue;
          new Recorder(connection);
          const sent = [`${pairs.length}`];
          connection.send(utf8(sent[0]));
          pairs.push({ sent, heard: [] });
          ends.push({ connection, sent });
        } else if (dice === 1) network.setLink(from, to, { state: random.pick(['blocked', 'held', 'open']) });
        else if (dice === 2) network.heal();
        else if (dice === 3) network.reset(from, to);
        else {
          const { connection, sent } = random.pick(ends);
          const text = `frame ${i}`;
          connection.send(utf8(text));
          sent.push(text);
        }
        await scheduler.run(scheduler.nowMs + random.float() * 50);
      }
      network.heal();
      await scheduler.run(scheduler.nowMs + 10_000);
      for (const { sent, heard } of pairs) {
        const frames = heard.filter((text) => !text.startsWith('end'));
        expect(frames).toEqual(sent.slice(0, frames.length));
      }
      expect(pairs.some(({ heard }) => heard.length > 5)).toBe(true);
      return scheduler.traceHash;
    };
    const first = await run(11);
    expect(await run(11)).toBe(first);
    expect(await run(12)).not.toBe(first);
  });
});
