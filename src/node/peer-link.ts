/** The dialled connection to one other node: hello, reconnects with backoff, open requests. */
import { unreachable } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import type { NodeId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { Prng } from '../base/prng.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import type { Connection, Network } from '../env/network.js';
import { decodePeerFrame, encodePeerFrame } from '../rpc/peer-codec.js';
import type { Hello, PeerFrame, PeerRequest, PeerResponse, ShardMessage } from '../rpc/peer-messages.js';

export interface PeerLinkOptions {
  readonly node: NodeId;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Prng;
  readonly limits: Limits;
  readonly hello: Hello;
  readonly addressOf: () => string | undefined;
  /** Why the node that answered with this hello is not the one that was dialled. */
  readonly refusal: (hello: Hello) => string | undefined;
  readonly onUnreachable: () => void;
}

type LinkState =
  | { readonly type: 'idle'; readonly dialAtMs: number }
  | { readonly type: 'greeting'; readonly connection: Connection; readonly untilMs: number }
  | { readonly type: 'ready'; readonly connection: Connection }
  | { readonly type: 'closed' };

interface OpenRequest {
  readonly deadlineMs: number;
  readonly resolve: (response: PeerResponse) => void;
  readonly reject: (error: QuorateError) => void;
}

const backoffMsMin = 20;
const backoffMsMax = 500;
const helloMsMax = 2000;

export class PeerLink {
  readonly #options: PeerLinkOptions;
  #state: LinkState = { type: 'idle', dialAtMs: 0 };
  #failures = 0;
  /** Why the last attempt failed, so that the log gets each reason once and not with every attempt. */
  #lastReason: string | undefined;
  #nextRequestId = 1;
  readonly #requests = new Map<number, OpenRequest>();

  constructor(options: PeerLinkOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#state.type === 'ready';
  }

  sendRaft(messages: readonly ShardMessage[]): void {
    const { limits } = this.#options;
    const connection = this.#readyConnection();
    if (connection === undefined) return;
    // Frames hold whole messages; a turn with more than one frame's worth is sent as several.
    let batch: ShardMessage[] = [];
    let bytes = 0;
    for (const message of messages) {
      const size = messageBytes(message);
      if (batch.length > 0 && bytes + size > limits.peerFrameBytesMax) {
        this.#sendBatch(connection, batch);
        batch = [];
        bytes = 0;
      }
      batch.push(message);
      bytes += size;
    }
    this.#sendBatch(connection, batch);
  }

  #sendBatch(connection: Connection, messages: readonly ShardMessage[]): void {
    if (connection.queuedBytes > this.#options.limits.peerQueueBytesMax) return;
    connection.send(encodePeerFrame({ type: 'raft', messages }));
  }

  request(body: PeerRequest, timeoutMs: number): Promise<PeerResponse> {
    const { node, limits, clock } = this.#options;
    const connection = this.#readyConnection();
    if (connection === undefined) {
      return Promise.reject(new QuorateError('UNAVAILABLE', `node ${node} cannot be reached`, { retryAfterMs: 50 }));
    }
    if (this.#requests.size >= limits.peerRequestsInFlightMax || connection.queuedBytes > limits.peerQueueBytesMax) {
      return Promise.reject(
        new QuorateError('OVERLOADED', `too much is waiting for node ${node}`, { retryAfterMs: 50 }),
      );
    }
    const id = this.#nextRequestId++;
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { deadlineMs: clock.monotonicMs() + timeoutMs, resolve, reject });
      connection.send(encodePeerFrame({ type: 'request', id, timeoutMs, body }));
    });
  }

  tick(): void {
    const now = this.#options.clock.monotonicMs();
    for (const [id, request] of this.#requests) {
      if (request.deadlineMs > now) continue;
      this.#requests.delete(id);
      const message = `node ${this.#options.node} did not answer in time`;
      request.reject(new QuorateError('DEADLINE_EXCEEDED', message, { outcome: 'unknown', retryable: true }));
    }
    const state = this.#state;
    if (state.type === 'idle' && state.dialAtMs <= now) this.#dial();
    else if (state.type === 'greeting' && state.untilMs <= now)
      this.#disconnected(state.connection, 'it did not say hello');
  }

  #readyConnection(): Connection | undefined {
    const state = this.#state;
    switch (state.type) {
      case 'ready':
        return state.connection;
      case 'idle':
        if (state.dialAtMs <= this.#options.clock.monotonicMs()) this.#dial();
        return undefined;
      case 'greeting':
      case 'closed':
        return undefined;
      default:
        return unreachable(state);
    }
  }

  #dial(): void {
    const { addressOf, network, clock, hello } = this.#options;
    const address = addressOf();
    if (address === undefined) return;
    const connection = network.connect(address);
    this.#state = { type: 'greeting', connection, untilMs: clock.monotonicMs() + helloMsMax };
    connection.start({
      onFrame: (bytes) => {
        try {
          this.#onFrame(connection, decodePeerFrame(bytes));
        } catch (error) {
          this.#disconnected(connection, String(error));
        }
      },
      onClose: (error) => this.#disconnected(connection, error?.message ?? 'it closed the connection'),
    });
    connection.send(encodePeerFrame(hello));
  }

  #onFrame(connection: Connection, frame: PeerFrame): void {
    const state = this.#state;
    if (state.type === 'greeting' && state.connection === connection) {
      this.#onGreeting(connection, frame);
    } else if (frame.type === 'response') {
      const request = this.#requests.get(frame.id);
      this.#requests.delete(frame.id);
      request?.resolve(frame.body);
    } else {
      this.#disconnected(connection, `it sent a frame of type ${frame.type}, which is not for the side that dialled`);
    }
  }

  #onGreeting(connection: Connection, frame: PeerFrame): void {
    const refusal = greetingRefusal(frame, this.#options.refusal);
    if (refusal !== undefined) {
      this.#disconnected(connection, refusal);
      return;
    }
    this.#state = { type: 'ready', connection };
    this.#failures = 0;
    this.#lastReason = undefined;
    this.#options.logger.info('connected to a peer', { peer: this.#options.node, remote: connection.remote });
  }

  #disconnected(connection: Connection, reason: string): void {
    const state = this.#state;
    connection.close();
    if (state.type === 'closed' || state.type === 'idle' || state.connection !== connection) return;
    const { clock, random, node, logger, onUnreachable } = this.#options;
    const backoffMs = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(this.#failures++, 10));
    this.#state = { type: 'idle', dialAtMs: clock.monotonicMs() + backoffMs * (0.5 + random.float() / 2) };
    if (reason !== this.#lastReason) logger.warn('no connection to a peer', { peer: node, reason });
    this.#lastReason = reason;
    this.#failRequests(new QuorateError('UNAVAILABLE', `the connection to node ${node} broke`, { outcome: 'unknown' }));
    onUnreachable();
  }

  #failRequests(error: QuorateError): void {
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of requests) request.reject(error);
  }

  close(): void {
    const state = this.#state;
    this.#state = { type: 'closed' };
    if (state.type === 'greeting' || state.type === 'ready') state.connection.close();
    this.#failRequests(new QuorateError('NODE_STOPPING', 'the node is stopping', { outcome: 'unknown' }));
  }
}

/** Why the first frame of the other side does not open the connection. */
function greetingRefusal(frame: PeerFrame, refusal: (hello: Hello) => string | undefined): string | undefined {
  if (frame.type === 'hello') return refusal(frame);
  if (frame.type === 'response' && frame.body.type === 'failed') return frame.body.error.message;
  return 'its first frame is not a hello';
}

const messageOverheadBytes = 96;

function messageBytes({ message }: ShardMessage): number {
  let bytes = messageOverheadBytes;
  if (message.type === 'appendRequest') for (const entry of message.entries) bytes += entry.data.length + 32;
  return bytes;
}
