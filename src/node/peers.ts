/**
 * Connections to the other nodes. Each node dials each other node; on the connection that it dialled it sends its
 * Raft frames and its requests, and gets the answers. What comes in on connections that others dialled is theirs.
 *
 * Raft frames that cannot be sent now are dropped: Raft sends again. A request that was not sent fails with the
 * outcome "not applied", one that was sent and not answered with "unknown".
 */
import { QuorateError } from '../base/errors.js';
import type { NodeId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { Prng } from '../base/prng.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import type { Connection, Listener, Network } from '../env/network.js';
import { decodePeerFrame, encodePeerFrame } from '../rpc/peer-codec.js';
import type { Hello, PeerFrame, PeerRequest, PeerResponse, RequestFrame, ShardMessage } from '../rpc/peer-messages.js';
import { PeerLink } from './peer-link.js';

const protocolVersion = { min: 1, max: 1 } as const;

export interface PeersOptions {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly storeId: string;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Prng;
  readonly limits: Limits;
  /** Where each other node listens. */
  readonly addressOf: (node: NodeId) => string | undefined;
  /** The identity of the data directory that joined as `node`, where known. */
  readonly storeOf: (node: NodeId) => string | undefined;
  readonly handler: PeerHandler;
}

export interface PeerHandler {
  onRaft(from: NodeId, messages: readonly ShardMessage[]): void;
  /** Answers through `respond`, once, at any time. */
  onRequest(from: NodeId, request: RequestFrame, respond: (response: PeerResponse) => void): void;
  /** Messages to `node` are lost until it is reached again. */
  onUnreachable(node: NodeId): void;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #links = new Map<NodeId, PeerLink>();
  readonly #accepted = new Set<Connection>();
  #listener: Listener | undefined;
  #closed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Resolves to the address that was really taken. */
  async listen(address: string): Promise<string> {
    this.#listener = await this.#options.network.listen(address, (connection) => this.#accept(connection));
    return this.#listener.address;
  }

  /** One frame with all messages of a turn. */
  sendRaft(node: NodeId, messages: readonly ShardMessage[]): void {
    this.#link(node).sendRaft(messages);
  }

  /**
   * Resolves with the answer, whatever it says. Rejects with UNAVAILABLE when the node cannot be reached or the
   * connection breaks, with DEADLINE_EXCEEDED after `timeoutMs`.
   */
  request(node: NodeId, body: PeerRequest, timeoutMs: number): Promise<PeerResponse> {
    return this.#link(node).request(body, timeoutMs);
  }

  /** Whether a connection to `node` is up and its hello was accepted. */
  isReachable(node: NodeId): boolean {
    return this.#links.get(node)?.isReady ?? false;
  }

  /** Called with every tick: gives up on requests whose time is over, and dials what is due. */
  tick(): void {
    for (const link of this.#links.values()) link.tick();
  }

  #link(node: NodeId): PeerLink {
    let link = this.#links.get(node);
    if (link === undefined) {
      const { network, clock, logger, random, limits, addressOf, handler } = this.#options;
      link = new PeerLink({
        node,
        network,
        clock,
        logger,
        random: random.split(`link-${node}`),
        limits,
        hello: this.#hello(),
        addressOf: () => addressOf(node),
        refusal: (hello) => this.#refusal(hello, node),
        onUnreachable: () => handler.onUnreachable(node),
      });
      this.#links.set(node, link);
    }
    return link;
  }

  #hello(): Hello {
    const { clusterId, nodeId, storeId } = this.#options;
    return {
      type: 'hello',
      clusterId,
      nodeId,
      storeId,
      protocolMin: protocolVersion.min,
      protocolMax: protocolVersion.max,
    };
  }

  /** Why a node that says `hello` is not talked to; undefined when it is welcome. */
  #refusal(hello: Hello, expected: NodeId | undefined): string | undefined {
    const { clusterId, nodeId, storeOf } = this.#options;
    if (hello.clusterId !== clusterId) return `it is of cluster ${hello.clusterId}, this is ${clusterId}`;
    if (hello.protocolMin > protocolVersion.max || hello.protocolMax < protocolVersion.min) {
      return `it speaks protocol ${hello.protocolMin} to ${hello.protocolMax}, this node ${protocolVersion.min} to ${protocolVersion.max}`;
    }
    if (expected !== undefined && hello.nodeId !== expected)
      return `node ${hello.nodeId} answers in place of node ${expected}`;
    if (hello.nodeId === nodeId) return `it says that it is node ${nodeId}, as this one`;
    const store = storeOf(hello.nodeId);
    if (store !== undefined && store !== hello.storeId) {
      return `node ${hello.nodeId} joined with the data directory ${store}, this is ${hello.storeId}: a node that lost its disk cannot come back under its old id`;
    }
    return undefined;
  }

  #accept(connection: Connection): void {
    if (this.#closed) {
      connection.close();
      return;
    }
    this.#accepted.add(connection);
    let from: NodeId | undefined;
    const send = (frame: PeerFrame): void => connection.send(encodePeerFrame(frame));
    const onFrame = (bytes: Uint8Array): void => {
      const frame = decodePeerFrame(bytes);
      if (from === undefined) {
        from = this.#greet(connection, frame, send);
        return;
      }
      switch (frame.type) {
        case 'raft':
          this.#options.handler.onRaft(from, frame.messages);
          return;
        case 'request':
          this.#options.handler.onRequest(from, frame, (body) => send({ type: 'response', id: frame.id, body }));
          return;
        case 'hello':
        case 'response':
          throw new Error(`a frame of type ${frame.type} out of place`);
      }
    };
    connection.start({
      onFrame: (bytes) => {
        try {
          onFrame(bytes);
        } catch (error) {
          this.#options.logger.warn('refused a peer connection', { remote: connection.remote, error: String(error) });
          connection.close();
        }
      },
      onClose: (error) => {
        this.#accepted.delete(connection);
        if (error !== undefined) {
          this.#options.logger.warn('lost a peer connection', {
            remote: connection.remote,
            peer: from,
            error: error.message,
          });
        }
      },
    });
  }

  /** Answers the first frame of a connection: with our hello, or with why not and the end. */
  #greet(connection: Connection, frame: PeerFrame, send: (frame: PeerFrame) => void): NodeId | undefined {
    const refusal = frame.type === 'hello' ? this.#refusal(frame, undefined) : 'the first frame is not a hello';
    if (refusal === undefined && frame.type === 'hello') {
      send(this.#hello());
      return frame.nodeId;
    }
    this.#options.logger.warn('refused a peer', { remote: connection.remote, reason: refusal });
    const error = new QuorateError('INVALID_ARGUMENT', `refused by node ${this.#options.nodeId}: ${refusal}`);
    send({ type: 'response', id: 0, body: { type: 'failed', error, leader: undefined } });
    connection.close();
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
    await this.#listener?.close();
    for (const connection of this.#accepted) connection.close();
  }
}
