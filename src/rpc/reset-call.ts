import type { Clock } from '../env/clock.js';

/** What the connection of a call has to take the reset. */
const connectionMsMax = 10_000;

/** CANCEL of RFC 9113, section 7. */
const cancelCode = 8;

/** A session of node:http2; without a socket once it is closed. */
export interface Connection {
  readonly socket?: { resetAndDestroy(): unknown };
}

/** As node:http2 has it, of the stream below a call of grpc-js. */
interface TransportStream {
  readonly destroyed: boolean;
  readonly session?: Connection;
  close(code: number): void;
  once(event: 'close', listener: () => void): unknown;
}

/**
 * Ends a call together with what the transport still holds of it.
 *
 * A gRPC server ends a call behind everything that it has written, so one whose caller neither reads nor cancels would
 * last as long as its connection. Where not even the reset gets out, since nobody reads the connection (a process that
 * is stopped), the connection is cut: as long as a write of it is under way, node:http2 keeps all that waits behind.
 *
 * grpc-js has no public way to do this: it is reached for the stream below, which test/rpc/unsent-answers.test.ts and
 * test/rpc/scan.test.ts hold it to. Where a later release keeps it elsewhere, nothing happens here.
 *
 * @param onClose the transport holds nothing of it any more; perhaps before this returns
 */
export function resetCall(call: object, clock: Pick<Clock, 'after'>, onClose: () => void = () => undefined): void {
  const stream = transportOf(call);
  if (stream === undefined) return;
  if (stream.destroyed) {
    onClose();
    return;
  }
  stream.close(cancelCode);
  const { session } = stream;
  const timer = clock.after(connectionMsMax, () => session && cut(session));
  stream.once('close', () => {
    timer.cancel();
    onClose();
  });
}

/** The connection of a call that has not been closed. */
export function connectionOf(call: object): Connection | undefined {
  return transportOf(call)?.session;
}

/** Ends it at once, whatever is under way on it. A session that is destroyed waits for its write: only its socket can be. */
export function cut(connection: Connection): void {
  connection.socket?.resetAndDestroy();
}

function transportOf(call: object): TransportStream | undefined {
  const { call: inner } = call as { readonly call?: { readonly stream?: TransportStream } };
  return inner?.stream;
}
