/**
 * Unary gRPC calls over node:http2, no more than a load generator needs: h2load sends the same bytes again and again, so
 * what has many keys, or a rate, is driven by this, for both systems alike.
 */
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';

import { grpcFrame } from './grpc-frame.js';
import type { UnaryCall } from './system.js';

const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_CONTENT_TYPE } = constants;

export class UnaryClient implements Disposable {
  readonly #sessions: readonly ClientHttp2Session[];
  #next = 0;

  /** Calls go over one connection after the other; each endpoint gets `connectionsEach`. */
  constructor(endpoints: readonly string[], connectionsEach: number) {
    this.#sessions = endpoints.flatMap((endpoint) =>
      Array.from({ length: connectionsEach }, () => {
        const session = connect(`http://${endpoint}`);
        // A broken connection shows in the calls that it carries.
        session.on('error', () => undefined);
        return session;
      }),
    );
  }

  /** Resolves to nothing: who measures does not read answers. Rejects unless the status is OK. */
  call(call: UnaryCall): Promise<void> {
    return this.#request(call, (stream) => stream.resume());
  }

  /** Resolves to the length of the answer with its frame. */
  async answerBytes(call: UnaryCall): Promise<number> {
    let bytes = 0;
    await this.#request(call, (stream) => stream.on('data', (chunk: Buffer) => (bytes += chunk.length)));
    return bytes;
  }

  #request({ path, message }: UnaryCall, read: (stream: ClientHttp2Stream) => unknown): Promise<void> {
    const session = this.#sessions[this.#next++ % this.#sessions.length];
    return new Promise((resolve, reject) => {
      const stream = session.request({
        [HTTP2_HEADER_METHOD]: 'POST',
        [HTTP2_HEADER_PATH]: path,
        [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
        te: 'trailers',
      });
      let status: string | undefined;
      let reason = 'the connection ended';
      const look = (headers: IncomingHttpHeaders): void => {
        if (headers['grpc-status'] === undefined) return;
        status = String(headers['grpc-status']);
        reason = String(headers['grpc-message'] ?? '');
      };
      stream.on('response', look);
      stream.on('trailers', look);
      stream.on('error', reject);
      stream.on('close', () => {
        if (status === '0') resolve();
        else reject(new Error(`${path}: gRPC status ${status ?? '?'} ${reason}`));
      });
      read(stream);
      stream.end(grpcFrame(message));
    });
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
  }
}
