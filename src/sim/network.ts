import { assert, defined } from '../base/assert.js';
import type { Prng } from '../base/prng.js';
import type { Connection, Listener, Network } from '../env/network.js';
import { connectPair, type SimConnection } from './connection.js';
import type { Link } from './link.js';
import type { SimProcess } from './process.js';
import type { Scheduler } from './scheduler.js';

export interface SimNetworkOptions {
  readonly random: Prng;
  /** For links whose delay is not set. Default {@link defaultDelayMs}. */
  readonly delayMs?: readonly [min: number, max: number];
  /** A connection with frames (or acknowledgements) that cannot arrive breaks after this. Default 10 s. */
  readonly breakAfterMs?: number;
  /** An attempt to connect gives up after this. Default 3 s. */
  readonly connectTimeoutMs?: number;
}

interface SimListener {
  readonly process: SimProcess;
  readonly onConnection: (connection: Connection) => void;
  readonly accepted: Set<SimConnection>;
}

/** Virtual milliseconds that a frame is under way in one data centre. */
export const defaultDelayMs: readonly [min: number, max: number] = [0.05, 2];
const connectRetryMs = 200;

/**
 * The network between simulated machines. Connections behave as TCP: frames in order, each connection with delays of
 * its own; a broken direction stalls, and breaks the connection in the end; a dead process resets its connections; a
 * paused one gets its frames when it goes on. A host is the name of the process; addresses are `host:port`.
 *
 * A frame is the receiver's only during `onFrame`: it is overwritten afterwards, to find those who keep it.
 */
export class SimNetwork {
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #defaultDelayMs: readonly [number, number];
  readonly #breakAfterMs: number;
  readonly #connectTimeoutMs: number;
  readonly #links = new Map<string, Link>();
  readonly #listeners = new Map<string, SimListener>();
  readonly #connections = new Set<SimConnection>();
  #nextPort = 49_152;

  constructor(scheduler: Scheduler, options: SimNetworkOptions) {
    this.#scheduler = scheduler;
    this.#random = options.random;
    this.#defaultDelayMs = options.delayMs ?? defaultDelayMs;
    this.#breakAfterMs = options.breakAfterMs ?? 10_000;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 3000;
  }

  /** The network as one incarnation of a process sees it. */
  mount(process: SimProcess): Network {
    process.onDeath(() => {
      for (const [address, listener] of this.#listeners) {
        if (listener.process === process) this.#listeners.delete(address);
      }
      for (const connection of [...this.#connections]) if (connection.owner === process) connection.die();
    });
    return {
      listen: (address, onConnection) => this.#listen(process, address, onConnection),
      connect: (address) => this.#connect(process, address),
    };
  }

  /** The direction between two hosts, to look at; change it with the methods below. */
  link(from: string, to: string): Readonly<Link> {
    return this.#link(from, to);
  }

  setLink(from: string, to: string, change: Partial<Pick<Link, 'state' | 'delayMs'>>): void {
    const link = this.#link(from, to);
    link.delayMs = change.delayMs ?? link.delayMs;
    if (change.state === undefined || change.state === link.state) return;
    link.state = change.state;
    for (const connection of [...this.#connections]) {
      const ends = [connection.local, connection.peerHost];
      if (ends.includes(from) && ends.includes(to)) connection.onLinkChange();
    }
  }

  /** Blocks all links between hosts of different groups, both ways; hosts that are in no group keep theirs. */
  partition(groups: readonly (readonly string[])[]): void {
    for (const group of groups) {
      for (const other of groups) {
        if (group === other) continue;
        for (const from of group) for (const to of other) this.setLink(from, to, { state: 'blocked' });
      }
    }
  }

  /** Opens all links. */
  heal(): void {
    for (const { from, to } of this.#links.values()) this.setLink(from, to, { state: 'open' });
  }

  /** Of what is held between two hosts, a byte gets through on each connection: a sign of life for the other side, and no more. */
  trickle(from: string, to: string): void {
    for (const connection of this.#connections) {
      if (connection.local === from && connection.peerHost === to) connection.trickle();
    }
  }

  /** Bytes that were sent and have not reached their process, over all connections. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const connection of this.#connections) bytes += connection.queuedBytes;
    return bytes;
  }

  /** Breaks the connections between two hosts; new ones may come up at once. */
  reset(a: string, b: string): void {
    for (const connection of [...this.#connections]) {
      if (connection.local === a && connection.peerHost === b) connection.break('the connection was reset');
    }
  }

  #listen(process: SimProcess, wanted: string, onConnection: (connection: Connection) => void): Promise<Listener> {
    const { host, port } = parse(wanted);
    if (host !== process.name)
      return Promise.reject(new Error(`cannot listen on ${wanted}: not an address of ${process.name}`));
    const address = `${host}:${port === 0 ? this.#nextPort++ : port}`;
    if (this.#listeners.has(address)) return Promise.reject(new Error(`cannot listen on ${address}: in use`));
    const listener: SimListener = { process, onConnection, accepted: new Set() };
    this.#listeners.set(address, listener);
    return Promise.resolve({
      address,
      close: () => {
        if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
        for (const connection of listener.accepted) connection.close();
        return Promise.resolve();
      },
    });
  }

  #connect(process: SimProcess, address: string): Connection {
    const { host } = parse(address);
    const [client, server] = connectPair({
      scheduler: this.#scheduler,
      random: this.#random,
      breakAfterMs: this.#breakAfterMs,
      onDone: (connection) => {
        this.#connections.delete(connection);
        this.#listeners.get(address)?.accepted.delete(connection);
      },
      client: { process, remote: address, link: this.#link(process.name, host) },
      server: { remote: `${process.name}:${this.#nextPort++}`, link: this.#link(host, process.name) },
    });
    this.#connections.add(client).add(server);
    const giveUpMs = this.#scheduler.nowMs + this.#connectTimeoutMs;
    const attempt = (): void => {
      if (!client.isConnecting) return;
      const isOpen = client.outward.state === 'open' && server.outward.state === 'open';
      if (!isOpen && this.#scheduler.nowMs >= giveUpMs) {
        client.break(`no connection to ${address} within ${this.#connectTimeoutMs} ms`);
      } else if (!isOpen) {
        this.#scheduler.schedule(connectRetryMs, `${process.name} connects again to ${address}`, attempt);
      } else {
        const listener = this.#listeners.get(address);
        if (listener === undefined) {
          client.break(`${address} refuses connections`);
          return;
        }
        listener.accepted.add(server);
        server.accept(listener.process, listener.onConnection);
        client.open();
      }
    };
    this.#scheduler.schedule(2 * client.drawDelayMs(), `${process.name} connects to ${address}`, attempt);
    return client;
  }

  #link(from: string, to: string): Link {
    const key = `${from}>${to}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = { from, to, state: 'open', delayMs: this.#defaultDelayMs, oldArrivals: 0 };
      this.#links.set(key, link);
    }
    return link;
  }
}

function parse(address: string): { host: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(address);
  assert(match !== null, `${address} is not of the form host:port`);
  return { host: defined(match[1], 'host'), port: Number(match[2]) };
}
