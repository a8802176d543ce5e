/** A caller in bare HTTP/2 that asks and takes no answers: every gRPC client would. */
import { connect as connectSocket, type Socket } from 'node:net';
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type Settings } from 'node:http2';
import { Duplex } from 'node:stream';

/** More than everything that a test asks for. */
const largeWindow = 2 ** 30;

export class IdleCaller {
  readonly #socket: Socket;
  readonly #session: ClientHttp2Session;

  /**
   * @param options.windows `small`: it takes headers, and what HTTP/2 lets through without being asked to; `large`: it
   * lets everything through, so that {@link stopReading} leaves it to TCP to hold the server up
   */
  constructor(address: string, options: { windows: 'small' | 'large' } = { windows: 'small' }) {
    const [host, port] = address.split(':');
    this.#socket = connectSocket(Number(port), host);
    this.#socket.on('error', () => undefined);
    const settings = options.windows === 'large' ? { initialWindowSize: largeWindow } : {};
    this.#session = connect(`http://${address}`, { createConnection: () => overSocket(this.#socket), settings });
    this.#session.on('error', () => undefined);
    if (options.windows === 'large') this.#session.once('connect', () => this.#session.setLocalWindowSize(largeWindow));
  }

  /** How many calls the server lets a connection have open. */
  callsMax(): Promise<number | undefined> {
    return new Promise((resolve) =>
      this.#session.once('remoteSettings', (settings: Settings) => resolve(settings.maxConcurrentStreams)),
    );
  }

  /** @returns resolves when the call is over, with the code it was reset with */
  get(key: string): Promise<number | undefined> {
    const { call, over } = this.#call('/quorate.v1.Kv/Get');
    call.end(frame(getRequest(key)));
    return over;
  }

  /** The same of a `Stream` with so many gets in one message. */
  getOnStream(key: string, times: number): Promise<number | undefined> {
    const { call, over } = this.#call('/quorate.v1.Kv/Stream');
    const operation = field(1, getRequest(key));
    const operations = Array.from({ length: times }, (_, i) =>
      field(1, Buffer.concat([Buffer.from([0x08, i + 1]), field(2, operation)])),
    );
    call.write(frame(Buffer.concat(operations)));
    return over;
  }

  /** Not even from its connection, from now on: as a process that was stopped. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Resolves when the connection is gone. */
  disconnected(): Promise<void> {
    this.#socket.resume();
    return new Promise((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.once('close', () => resolve());
    });
  }

  close(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  #call(path: string): { call: ClientHttp2Stream; over: Promise<number | undefined> } {
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
    const call = this.#session.request(headers);
    call.on('error', () => undefined);
    call.pause();
    return { call, over: new Promise((resolve) => call.once('close', () => resolve(call.rstCode))) };
  }
}

/** node:http2 reads a socket below its JavaScript, where it cannot be stopped. */
function overSocket(socket: Socket): Duplex {
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
  });
  socket.on('data', (chunk: Buffer) => duplex.push(chunk));
  socket.on('close', () => duplex.destroy());
  return duplex;
}

function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Both `GetRequest` and the `get` of an `Operation`. */
function getRequest(key: string): Buffer {
  return field(1, Buffer.from(key));
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}
