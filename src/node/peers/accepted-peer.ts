/**
 * A connection that another node dialled: first its hello, soon, answered with ours or with why not; then its Raft
 * frames and its requests, which are answered here.
 *
 * Bounds: requests that are open, by count; answers that wait to be sent, by bytes. What comes beyond is answered with
 * OVERLOADED; a node that asks on without taking its answers loses the connection.
 */
import { unreachable } from '../../base/assert.js';
import { QuorateError, type Outcome } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Logger } from '../../env/logger.js';
import type { Connection } from '../../env/network.js';
import { encodePeerFrame } from '../../rpc/peer-codec.js';
import type { Hello, PeerFrame, PeerResponse, RequestFrame } from '../../rpc/peer-messages.js';
import { Liveness } from './liveness.js';
import type { RaftTiming } from '../options.js';
import type { PeerHandler } from './peer-handler.js';
import { ProtocolError, readFrame } from './protocol-error.js';

export interface AcceptedPeerOptions {
  readonly limits: Limits;
  readonly timing: RaftTiming;
  readonly logger: Logger;
  readonly hello: Hello;
  /** Why the node that says this hello is not talked to. */
  readonly refusal: (hello: Hello) => QuorateError | undefined;
  /** A node that is welcome has said this hello. */
  readonly onGreeted: (hello: Hello) => void;
  readonly handler: PeerHandler;
  /** The other side broke the protocol; `from` is not known before its hello. */
  readonly onProtocolError: (error: ProtocolError, remote: string, from: NodeId | undefined) => void;
  readonly onClosed: (peer: AcceptedPeer) => void;
}

export class AcceptedPeer {
  readonly #connection: Connection;
  readonly #options: AcceptedPeerOptions;
  readonly #liveness: Liveness;
  /** What the other side said first, once it was welcome. */
  #greeting: Hello | undefined;
  #ticksWithoutHello = 0;
  /** What was sent may still be on its way for a moment. */
  #isClosing = false;
  #openRequests = 0;

  constructor(connection: Connection, options: AcceptedPeerOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#liveness = new Liveness(connection, options.timing);
    connection.start({
      onFrame: (bytes) => this.#receive(bytes),
      onClose: (error) => this.#closed(error),
    });
  }

  /** Whether it is known which node this is. */
  get isGreeted(): boolean {
    return this.#greeting !== undefined;
  }

  get #from(): NodeId | undefined {
    return this.#greeting?.nodeId;
  }

  tick(): void {
    if (this.#isClosing) return;
    const { timing, logger } = this.#options;
    if (!this.isGreeted && ++this.#ticksWithoutHello >= timing.electionTicksMax) {
      logger.warn('refused a peer', { remote: this.#remote, reason: 'it did not say hello in time' });
      this.close();
      return;
    }
    const refused = this.#greeting === undefined ? undefined : this.#options.refusal(this.#greeting);
    if (refused !== undefined) {
      // It was welcome before this node had learnt with which disk the other had joined.
      logger.warn('refused a peer', { remote: this.#remote, peer: this.#from, reason: refused.message });
      this.close();
      return;
    }
    switch (this.#liveness.tick()) {
      case 'fine':
        return;
      case 'speak':
        if (this.#from !== undefined) this.#send({ type: 'alive' });
        return;
      case 'dead':
        logger.warn('closed a silent peer connection', { remote: this.#remote, peer: this.#from });
        this.close();
        return;
    }
  }

  get #remote(): string {
    return this.#connection.remote;
  }

  #receive(bytes: Uint8Array): void {
    try {
      this.#onFrame(readFrame(bytes));
    } catch (error) {
      this.close();
      if (error instanceof ProtocolError) this.#options.onProtocolError(error, this.#remote, this.#from);
      else this.#options.handler.onFailure(error);
    }
  }

  #onFrame(frame: PeerFrame): void {
    const from = this.#from;
    if (from === undefined) {
      this.#greet(frame);
      return;
    }
    switch (frame.type) {
      case 'raft':
        this.#options.handler.onRaft(from, frame.messages);
        return;
      case 'request':
        this.#onRequest(from, frame);
        return;
      case 'alive':
        return;
      case 'hello':
      case 'response':
        throw new ProtocolError(`a frame of type ${frame.type}, which is not for the side that was dialled`);
      default:
        unreachable(frame);
    }
  }

  #greet(frame: PeerFrame): void {
    const { hello, refusal, onGreeted, logger } = this.#options;
    const refused = frame.type === 'hello' ? refusal(frame) : undefined;
    if (refused === undefined && frame.type === 'hello') {
      this.#greeting = frame;
      onGreeted(frame);
      this.#send(hello);
      return;
    }
    const notHello = { code: 'INVALID_ARGUMENT', message: 'the first frame is not a hello', retryable: true } as const;
    const { code, message: reason, retryable } = refused ?? notHello;
    logger.warn('refused a peer', { remote: this.#remote, reason });
    const error = new QuorateError(code, `refused by node ${hello.nodeId}: ${reason}`, { retryable });
    this.#respond(0, { type: 'failed', error, leader: undefined });
    this.close();
  }

  #onRequest(from: NodeId, request: RequestFrame): void {
    const { limits, handler } = this.#options;
    if (this.#openRequests >= limits.peerRequestsInFlightMax || this.#isClogged) {
      this.#respond(request.id, this.#overloaded('notApplied'));
      return;
    }
    this.#openRequests++;
    handler.onRequest(from, request, (response) => {
      this.#openRequests--;
      // It was carried out: the asker must not take it for refused.
      this.#respond(request.id, this.#isClogged ? this.#overloaded('unknown') : response);
    });
  }

  get #isClogged(): boolean {
    return this.#connection.queuedBytes > this.#options.limits.peerQueueBytesMax;
  }

  #overloaded(outcome: Outcome): PeerResponse {
    const message = `node ${this.#options.hello.nodeId} has too many answers waiting for node ${this.#from}`;
    const error = new QuorateError('OVERLOADED', message, { outcome, retryAfterMs: 50 });
    return { type: 'failed', error, leader: undefined };
  }

  #respond(id: number, body: PeerResponse): void {
    this.#send({ type: 'response', id, body });
    if (this.#connection.queuedBytes <= 2 * this.#options.limits.peerQueueBytesMax) return;
    this.#options.logger.warn('closed a peer connection', { remote: this.#remote, reason: 'it takes no answers' });
    this.close();
  }

  #send(frame: PeerFrame): void {
    this.#liveness.sent();
    this.#connection.send(encodePeerFrame(frame));
  }

  #closed(error: Error | undefined): void {
    const { logger, onClosed } = this.#options;
    onClosed(this);
    if (error === undefined) return;
    logger.warn('lost a peer connection', { remote: this.#remote, peer: this.#from, error: error.message });
  }

  close(): void {
    this.#isClosing = true;
    this.#connection.close();
  }
}
