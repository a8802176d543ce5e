import { connectivityState, credentials, Client as GrpcClient } from '@grpc/grpc-js';

/** Longer than a connection takes anywhere; a node that needs more is taken for one that cannot be reached. */
export const connectTimeoutMs = 1000;

/**
 * A node that hangs is noticed by unanswered pings, although its connection stays: soon enough for a call with the usual deadline to
 * be made at another node. A process, this one too, that is only busy or gets no processor answers sooner
 * (docs/decisions/2026-11-21-overload.md).
 */
const channelOptions = {
  'grpc.keepalive_time_ms': 1000,
  'grpc.keepalive_timeout_ms': 3000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // A database is reached directly; a proxy for the web, which the environment may name, would not even know loopback.
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
};

export function openChannel(address: string): GrpcClient {
  return new GrpcClient(address, credentials.createInsecure(), channelOptions);
}

export type ConnectResult = 'connected' | 'refused' | 'timedOut';

/** Calls `done` once, perhaps before it returns. A channel that is closed meanwhile counts as refused. */
export function untilConnected(client: GrpcClient, timeoutMs: number, done: (result: ConnectResult) => void): void {
  const channel = client.getChannel();
  const giveUpAt = Date.now() + timeoutMs;
  const look = (): void => {
    if (channel.getConnectivityState(false) === connectivityState.SHUTDOWN) {
      done('refused');
      return;
    }
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) done('connected');
    else if (state === connectivityState.TRANSIENT_FAILURE) done('refused');
    else channel.watchConnectivityState(state, giveUpAt, (error) => (error === undefined ? look() : done('timedOut')));
  };
  look();
}

export function noConnection(address: string, result: Exclude<ConnectResult, 'connected'>): string {
  return `no connection to ${address}${result === 'timedOut' ? ` within ${connectTimeoutMs} ms` : ''}`;
}
