/**
 * Ends a call together with what the transport still holds of it.
 *
 * A gRPC server ends a call behind everything that it has written, so one whose caller neither reads nor cancels would
 * last as long as its connection. grpc-js has no public way to reset it: this reaches for the stream below, which
 * test/rpc/server.test.ts holds it to. Where a later release keeps it elsewhere, nothing happens here.
 */
export function resetCall(call: object): void {
  const { call: inner } = call as { readonly call?: { readonly stream?: { readonly close?: (code: number) => void } } };
  inner?.stream?.close?.(cancelCode);
}

/** CANCEL of RFC 9113, section 7. */
const cancelCode = 8;
