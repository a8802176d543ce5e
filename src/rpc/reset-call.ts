import type { Clock } from '../env/clock.js';

/** What the connection of a call has to take the reset. */
const connectionMsMax = 10_000;

/** CANCEL of RFC 9113, section 7. */
const cancelCode = 8;

/** As node:http2 has it, of the stream below a call of grpc-js. */
interface TransportStream {
  readonly destroyed: boolean;
  readonly session?: { readonly socket?: { resetAndDestroy(): unknown } };
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
  const { call: inner } = call as { readonly call?: { readonly stream?: TransportStream } };
  const stream = inner?.stream;
  if (stream === undefined) return;
  if (stream.destroyed) {
    onClose();
    return;
  }
  stream.close(cancelCode);
  // A session that is destroyed waits for its write, too: only its socket can be.
  const timer = clock.after(connectionMsMax, () => stream.session?.socket?.resetAndDestroy());
  stream.once('close', () => {
    timer.cancel();
    onClose();
  });
}
