/** The dialled connection to one other node: hello, reconnects with backoff, open requests. */
import { unreachable } from '../../base/assert.js';
import { QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Prng } from '../../base/prng.js';
import type { Clock } from '../../env/clock.js';
import type { Logger } from '../../env/logger.js';
import type { Connection, Network } from '../../env/network.js';
import { encodePeerFrame } from '../../rpc/peer-codec.js';
import type {
  Hello,
  OutgoingMessage,
  PeerFrame,
  PeerRequest,
  PeerResponse,
  ShardMessage,
} from '../../rpc/peer-messages.js';
import { Liveness } from './liveness.js';
import { OpenRequests } from './open-requests.js';
import type { RaftTiming } from '../options.js';
import { ProtocolError, readFrame } from './protocol-error.js';

export interface PeerLinkOptions {
  readonly node: NodeId;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Prng;
  readonly limits: Limits;
  readonly timing: RaftTiming;
  readonly hello: Hello;
  readonly addressOf: () => string | undefined;
  /** Why the node that answered with this hello is not the one that was dialled. */
  readonly refusal: (hello: Hello) => QuorateError | undefined;
  readonly onUnreachable: () => void;
  readonly onReachable: () => void;
  /** The node that was dialled has said this hello. */
  readonly onGreeted: (hello: Hello) => void;
  /** See {@link PeerHandler.onRefused}. */
  readonly onRefused: (error: QuorateError) => void;
  readonly onProtocolError: (error: ProtocolError, remote: string) => void;
  /** See {@link PeerHandler.onFailure}. */
  readonly onFailure: (error: unknown) => void;
}

type LinkState =
  | { readonly type: 'idle'; readonly dialAtMs: number }
  | { readonly type: 'greeting'; readonly connection: Connection; ticksLeft: number }
  | { readonly type: 'ready'; readonly connection: Connection; readonly greeting: Hello; readonly liveness: Liveness }
  | { readonly type: 'closed' };

type ReadyState = Extract<LinkState, { readonly type: 'ready' }>;

/** Small: a node that comes back is found at once, and an attempt costs one packet. */
const backoffMsMin = 20;
const backoffMsMax = 200;

export class PeerLink {
  readonly #options: PeerLinkOptions;
  #state: LinkState = { type: 'idle', dialAtMs: 0 };
  #failures = 0;
  /** Why the last attempt failed, so that the log gets each reason once and not with every attempt. */
  #lastReason: string | undefined;
  #nextRequestId = 1;
  readonly #requests = new OpenRequests();
  #idleTicks = 0;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
  }

  /** Since it had an open request. */
  get idleTicks(): number {
    return this.#idleTicks;
  }

  get isReady(): boolean {
    return this.#state.type === 'ready';
  }

  /** Those that are not for the data directory at the other end go nowhere. */
  sendRaft(messages: readonly OutgoingMessage[]): void {
    const { limits } = this.#options;
    const ready = this.#ready();
    if (ready === undefined) return;
    // Frames hold whole messages; a turn with more than one frame's worth is sent as several.
    let batch: ShardMessage[] = [];
    let bytes = 0;
    for (const message of messages) {
      if (message.storeId !== undefined && message.storeId !== ready.greeting.storeId) continue;
      const size = messageBytes(message);
      if (batch.length > 0 && bytes + size > limits.peerFrameBytesMax) {
        this.#sendBatch(ready, batch, bytes);
        batch = [];
        bytes = 0;
      }
      batch.push(message);
      bytes += size;
    }
    if (batch.length > 0) this.#sendBatch(ready, batch, bytes);
  }

  #sendBatch(ready: ReadyState, messages: readonly ShardMessage[], bytesExpected: number): void {
    if (ready.connection.queuedBytes > this.#options.limits.peerQueueBytesMax) return;
    send(ready, encodePeerFrame({ type: 'raft', messages }, bytesExpected));
  }

  request(body: PeerRequest, timeoutMs: number, relay = false): Promise<PeerResponse> {
    const { node, limits, clock } = this.#options;
    const ready = this.#ready();
    if (ready === undefined) {
      return Promise.reject(new QuorateError('UNAVAILABLE', `node ${node} cannot be reached`, { retryAfterMs: 50 }));
    }
    const { queuedBytes } = ready.connection;
    if (this.#requests.size >= limits.peerRequestsInFlightMax || queuedBytes > limits.peerQueueBytesMax) {
      return Promise.reject(
        new QuorateError('OVERLOADED', `too much is waiting for node ${node}`, { retryAfterMs: 50 }),
      );
    }
    const id = this.#nextRequestId++;
    const frame = encodePeerFrame({ type: 'request', id, timeoutMs, relay, body });
    if (frame.length > limits.peerFrameBytesMax) {
      const message = `a request of ${frame.length} bytes to node ${node}, more than the limit peerFrameBytesMax of ${limits.peerFrameBytesMax}`;
      return Promise.reject(new QuorateError('OVERLOADED', message, { retryAfterMs: 50 }));
    }
    const answer = this.#requests.add(id, clock.monotonicMs() + timeoutMs);
    send(ready, frame);
    return answer;
  }

  tick(): void {
    const now = this.#options.clock.monotonicMs();
    this.#requests.expire(now, () => {
      const message = `node ${this.#options.node} did not answer in time`;
      return new QuorateError('DEADLINE_EXCEEDED', message, { outcome: 'unknown', retryable: true });
    });
    this.#idleTicks = this.#requests.size > 0 ? 0 : this.#idleTicks + 1;
    const state = this.#state;
    switch (state.type) {
      case 'idle':
        if (state.dialAtMs <= now) this.#dial();
        return;
      case 'greeting':
        if (--state.ticksLeft <= 0) this.#disconnected(state.connection, 'it did not say hello in time');
        return;
      case 'ready': {
        // It was welcome before this node had learnt that its data directory is out of use.
        const refused = this.#options.refusal(state.greeting);
        if (refused === undefined) this.#keepAlive(state);
        else this.#disconnected(state.connection, refused.message);
        return;
      }
      case 'closed':
        return;
      default:
        unreachable(state);
    }
  }

  #keepAlive(ready: ReadyState): void {
    switch (ready.liveness.tick()) {
      case 'fine':
        return;
      case 'speak':
        send(ready, encodePeerFrame({ type: 'alive' }));
        return;
      case 'dead':
        this.#disconnected(ready.connection, 'it is silent');
        return;
    }
  }

  #ready(): ReadyState | undefined {
    const state = this.#state;
    if (state.type === 'ready') return state;
    if (state.type === 'idle' && state.dialAtMs <= this.#options.clock.monotonicMs()) this.#dial();
    return undefined;
  }

  #dial(): void {
    const { addressOf, network, timing, hello } = this.#options;
    const address = addressOf();
    if (address === undefined) return;
    const connection = network.connect(address);
    this.#state = { type: 'greeting', connection, ticksLeft: timing.electionTicksMax };
    connection.start({
      onFrame: (bytes) => this.#receive(connection, bytes),
      onClose: (error) => this.#disconnected(connection, error?.message ?? 'it closed the connection'),
    });
    connection.send(encodePeerFrame(hello));
  }

  #receive(connection: Connection, bytes: Uint8Array): void {
    try {
      this.#onFrame(connection, readFrame(bytes));
    } catch (error) {
      this.#disconnected(connection, 'its connection was closed');
      if (error instanceof ProtocolError) this.#options.onProtocolError(error, connection.remote);
      else this.#options.onFailure(error);
    }
  }

  #onFrame(connection: Connection, frame: PeerFrame): void {
    const state = this.#state;
    if (state.type === 'greeting' && state.connection === connection) {
      this.#onGreeting(connection, frame);
      return;
    }
    switch (frame.type) {
      case 'response':
        this.#requests.answer(frame.id, frame.body);
        return;
      case 'alive':
        return;
      case 'hello':
      case 'raft':
      case 'request':
        throw new ProtocolError(`a frame of type ${frame.type}, which is not for the side that dialled`);
      default:
        unreachable(frame);
    }
  }

  #onGreeting(connection: Connection, frame: PeerFrame): void {
    if (frame.type !== 'hello') {
      const error = frame.type === 'response' && frame.body.type === 'failed' ? frame.body.error : undefined;
      this.#disconnected(connection, error?.message ?? 'its first frame is not a hello');
      if (error?.retryable === false) this.#options.onRefused(error);
      return;
    }
    const refused = this.#options.refusal(frame);
    if (refused !== undefined) {
      this.#disconnected(connection, refused.message);
      return;
    }
    const liveness = new Liveness(connection, this.#options.timing);
    this.#state = { type: 'ready', connection, greeting: frame, liveness };
    this.#failures = 0;
    this.#lastReason = undefined;
    const { logger, node, onGreeted, onReachable } = this.#options;
    logger.info('connected to a peer', { peer: node, remote: connection.remote });
    onGreeted(frame);
    onReachable();
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
    this.#requests.fail(
      new QuorateError('UNAVAILABLE', `the connection to node ${node} broke`, { outcome: 'unknown' }),
    );
    onUnreachable();
  }

  close(): void {
    const state = this.#state;
    this.#state = { type: 'closed' };
    if (state.type === 'greeting' || state.type === 'ready') state.connection.close();
    this.#requests.fail(new QuorateError('NODE_STOPPING', 'the node is stopping', { outcome: 'unknown' }));
  }
}

function send({ connection, liveness }: ReadyState, frame: Uint8Array): void {
  liveness.sent();
  connection.send(frame);
}

const messageOverheadBytes = 96;

function messageBytes({ message }: ShardMessage): number {
  let bytes = messageOverheadBytes;
  if (message.type === 'appendRequest') for (const entry of message.entries) bytes += entry.data.length + 32;
  return bytes;
}
