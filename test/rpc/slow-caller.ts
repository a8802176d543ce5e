/** A caller of `Scan` in bare HTTP/2, which takes as many pages as it says: every gRPC client has buffers of its own. */
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';

const framePrefixBytes = 5;

export class SlowCaller {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #status: Promise<number>;
  #received = Buffer.alloc(0);
  #pages = 0;

  /** Asks for everything, without a deadline. */
  constructor(address: string) {
    this.#session = connect(`http://${address}`);
    this.#session.on('error', () => undefined);
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': '/quorate.v1.Kv/Scan',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    this.#status = new Promise((resolve, reject) => {
      this.#stream.once('error', reject);
      this.#stream.once('trailers', (trailers: IncomingHttpHeaders) => resolve(Number(trailers['grpc-status'])));
    });
    this.#status.catch(() => undefined);
    this.#stream.pause();
    this.#stream.end(Buffer.alloc(framePrefixBytes));
  }

  /** Reads until it has `pages` in all, and not a byte more. */
  async take(pages: number): Promise<void> {
    while (this.#pages < pages) {
      const wanted = this.#wanted() - this.#received.length;
      const bytes = this.#stream.read(Math.min(wanted, Math.max(1, this.#stream.readableLength))) as Buffer | null;
      if (bytes === null) await new Promise((resolve) => this.#stream.once('readable', resolve));
      else this.#append(bytes);
    }
  }

  /** Of the frame that is being read: of its prefix, when that is not there yet. */
  #wanted(): number {
    if (this.#received.length < framePrefixBytes) return framePrefixBytes;
    return framePrefixBytes + this.#received.readUInt32BE(1);
  }

  #append(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#received.length < framePrefixBytes || this.#received.length < this.#wanted()) return;
    this.#received = Buffer.alloc(0);
    this.#pages++;
  }

  /** How the call ended: a gRPC status. Reads what is left. */
  status(): Promise<number> {
    this.#stream.resume();
    return this.#status;
  }

  close(): void {
    this.#session.destroy();
  }
}
