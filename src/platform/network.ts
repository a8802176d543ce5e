import { connect as tcpConnect, createServer, type Server, type Socket } from 'node:net';
import { assert } from '../base/assert.js';
import type { Connection, ConnectionHandler, Listener, Network } from '../env/network.js';
import { FrameError, FrameReader, frameHeaderBytes, writeFrameHeader } from './frame.js';

export interface TcpNetworkOptions {
  /** Longest payload of a frame, sent or received; `limits.peerFrameBytesMax`. */
  readonly peerFrameBytesMax: number;
  /** Milliseconds after which an attempt to connect gives up. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** Accepted connections of one listener; more are closed at once. Default 1024. */
  readonly connectionsMax?: number;
}

/** Milliseconds that a closed connection has to deliver what was sent before. */
const lingerMs = 2000;
const keepAliveMs = 10_000;
/** Frames up to this are copied together into one buffer; a system call for each would cost more. */
const joinedFrameBytesMax = 16 * 1024;

/** Of the first frame of a connection: a hello, or why there is none. */
const greetingBytesMax = 64 * 1024;

/** Frames over TCP, as docs/protocol/peer.md says under "Framing". */
export class TcpNetwork implements Network {
  readonly #peerFrameBytesMax: number;
  readonly #connectTimeoutMs: number;
  readonly #connectionsMax: number;

  constructor(options: TcpNetworkOptions) {
    this.#peerFrameBytesMax = options.peerFrameBytesMax;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 3000;
    this.#connectionsMax = options.connectionsMax ?? 1024;
  }

  async listen(address: string, onConnection: (connection: Connection) => void): Promise<Listener> {
    const accepted = new Set<TcpConnection>();
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, (socket) => {
      const connection = new TcpConnection(socket, describe(socket), this.#peerFrameBytesMax);
      accepted.add(connection);
      socket.once('close', () => accepted.delete(connection));
      onConnection(connection);
      connection.assertStarted();
    });
    server.maxConnections = this.#connectionsMax;
    const { host, port } = parseAddress(address);
    await listening(server, host, port, address);
    const bound = server.address();
    assert(bound !== null && typeof bound === 'object', 'a listening TCP server has an address and a port');
    return {
      address: joinAddress(host, bound.port),
      close: async () => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        for (const connection of accepted) connection.close();
        await closed;
      },
    };
  }

  connect(address: string): Connection {
    const { host, port } = parseAddress(address);
    const socket = tcpConnect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    });
    const timeoutMs = this.#connectTimeoutMs;
    const timeout = setTimeout(
      () => socket.destroy(new Error(`no connection to ${address} within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const stop = (): void => clearTimeout(timeout);
    socket.once('connect', stop).once('close', stop);
    return new TcpConnection(socket, address, this.#peerFrameBytesMax);
  }
}

/**
 * Frames are gathered until the promise reactions of the current callback have run, and then written with one system
 * call. Received bytes that arrive after `close()` are dropped.
 */
class TcpConnection implements Connection {
  readonly remote: string;
  readonly #socket: Socket;
  readonly #frameBytesMax: number;
  #handler: ConnectionHandler | undefined;
  #state: 'open' | 'closed' = 'open';
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #receivedBytes = 0;
  #error: Error | undefined;

  constructor(socket: Socket, remote: string, frameBytesMax: number) {
    this.#socket = socket;
    this.remote = remote;
    this.#frameBytesMax = frameBytesMax;
    const reader = new FrameReader(frameBytesMax, Math.min(greetingBytesMax, frameBytesMax));
    const onFrame = (frame: Uint8Array): boolean => {
      this.#handler?.onFrame(frame);
      return this.#state === 'open';
    };
    socket.on('data', (chunk) => {
      if (this.#state === 'closed') return;
      this.#receivedBytes += chunk.length;
      try {
        reader.push(chunk, onFrame);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        this.#fail(new FrameError(`${this.remote} sent ${error.message}`));
      }
    });
    socket.on('end', () => {
      if (this.#state === 'open' && reader.pendingBytes > 0)
        this.#fail(new Error(`${this.remote} ended within a frame`));
      else this.close();
    });
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('close', () => {
      this.#state = 'closed';
      this.#unsent = [];
      this.#unsentBytes = 0;
      this.#handler?.onClose(this.#error);
    });
  }

  get queuedBytes(): number {
    return this.#unsentBytes + this.#socket.writableLength;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  start(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, 'a connection is started once');
    this.#handler = handler;
  }

  assertStarted(): void {
    assert(this.#handler !== undefined, 'a connection is started in the turn in which it was got');
  }

  send(frame: Uint8Array): void {
    assert(frame.length <= this.#frameBytesMax, `a frame of ${frame.length} bytes is over the limit peerFrameBytesMax`);
    if (this.#state === 'closed') return;
    if (this.#unsent.length === 0) process.nextTick(() => this.#flush());
    this.#unsent.push(frame);
    this.#unsentBytes += frameHeaderBytes + frame.length;
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#flush();
    this.#state = 'closed';
    this.#socket.destroySoon();
    const timeout = setTimeout(() => this.#socket.destroy(), lingerMs);
    this.#socket.once('close', () => clearTimeout(timeout));
  }

  #fail(error: Error): void {
    this.#state = 'closed';
    this.#socket.destroy(error);
  }

  #flush(): void {
    const frames = this.#unsent;
    if (frames.length === 0 || this.#state === 'closed') return;
    this.#unsent = [];
    this.#unsentBytes = 0;
    const buffers = joinSmall(frames);
    if (buffers.length === 1) {
      this.#socket.write(buffers[0]);
      return;
    }
    this.#socket.cork();
    for (const buffer of buffers) this.#socket.write(buffer);
    this.#socket.uncork();
  }
}

/** Headers and payloads in order; small payloads share a buffer with what is around them, large ones are passed on. */
function joinSmall(frames: readonly Uint8Array[]): Uint8Array[] {
  let joinedBytes = 0;
  for (const frame of frames) {
    joinedBytes += frameHeaderBytes + (frame.length <= joinedFrameBytesMax ? frame.length : 0);
  }
  const joined = Buffer.allocUnsafe(joinedBytes);
  const buffers: Uint8Array[] = [];
  let from = 0;
  let at = 0;
  for (const frame of frames) {
    writeFrameHeader(joined, at, frame);
    at += frameHeaderBytes;
    if (frame.length <= joinedFrameBytesMax) {
      joined.set(frame, at);
      at += frame.length;
    } else {
      buffers.push(joined.subarray(from, at), frame);
      from = at;
    }
  }
  if (at > from) buffers.push(joined.subarray(from, at));
  return buffers;
}

function listening(server: Server, host: string, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays: what goes wrong with a single accept later must not end the process.
    server.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the address is in use' : error.message;
      reject(new Error(`cannot listen on ${address}: ${reason}`, { cause: error }));
    });
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

/** Takes `host:port` apart; an IPv6 host is in brackets. Throws for what is not of this form. */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new Error(`${JSON.stringify(address)} is not of the form host:port`);
  return { host: match[1] ?? match[2], port };
}

function joinAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function describe(socket: Socket): string {
  return joinAddress(socket.remoteAddress ?? 'unknown', socket.remotePort ?? 0);
}
