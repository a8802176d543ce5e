/**
 * Connections to the other nodes. Each node dials each other node; on the connection that it dialled it sends its
 * Raft frames and its requests, and gets the answers (`peer-link.ts`). What comes in on connections that others
 * dialled is theirs (`accepted-peer.ts`).
 *
 * Raft frames that cannot be sent now are dropped: Raft sends again. A request that was not sent fails with the
 * outcome "not applied", one that was sent and not answered with "unknown".
 */
import { QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Prng } from '../../base/prng.js';
import type { Clock } from '../../env/clock.js';
import type { Logger } from '../../env/logger.js';
import type { Connection, Listener, Network } from '../../env/network.js';
import type { Hello, OutgoingMessage, PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import { AcceptedPeer } from './accepted-peer.js';
import type { RaftTiming } from '../options.js';
import type { PeerHandler } from './peer-handler.js';
import { PeerLink } from './peer-link.js';
import type { PeerLinkOptions } from './peer-link.js';
import type { ProtocolError } from './protocol-error.js';
import { ToldAddresses } from './told-addresses.js';

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
  readonly timing: RaftTiming;
  /** Where the others are told that this node listens. */
  readonly peerAddress: string;
  /** Where each other node listens, by the registry or the configuration. Of others, what they say of themselves is believed. */
  readonly addressOf: (node: NodeId) => string | undefined;
  /** Why the data directory may not speak for its node; `met` is the one that first came as that node. */
  readonly storeFault: (hello: Pick<Hello, 'nodeId' | 'storeId'>, met: string | undefined) => QuorateError | undefined;
  readonly handler: PeerHandler;
}

/** Accepted connections that have not said hello; one more, and the oldest of them makes room. */
const strangersMax = 64;

/** Ticks for which a connection for bulk stays that nobody asks for anything. */
const bulkIdleTicksMax = 200;

/** Whom others answer and nobody dials for so many election timeouts is where nobody looks for it. */
const unreachedTimeouts = 30;

/** One line for each reason in this time, however often a peer comes back with it. */
const sameReasonMs = 60_000;

interface LinkEvents extends Pick<PeerLinkOptions, 'onUnreachable' | 'onReachable'> {
  /** After `onUnreachable`. */
  readonly onRefused?: () => void;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #links = new Map<NodeId, PeerLink>();
  /** For {@link requestBulk}. */
  readonly #bulkLinks = new Map<NodeId, PeerLink>();
  readonly #accepted = new Set<AcceptedPeer>();
  /** Identities of the data directories that nodes of the cluster first came with. */
  readonly #met = new Map<NodeId, string>();
  readonly #told = new ToldAddresses();
  readonly #refusedBy = new Set<NodeId>();
  #protocolErrors = 0;
  /** The last one that was logged. */
  #logged: { readonly reason: string; readonly atMs: number } | undefined;
  /** For which others answered, and none of them has dialled this node. */
  #unreachedTicks = 0;
  #listener: Listener | undefined;
  #closed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Resolves to the address that was really taken. Rejects when this is closed, before or meanwhile: then it is not taken. */
  async listen(address: string): Promise<string> {
    const stopping = (): QuorateError => new QuorateError('NODE_STOPPING', 'the node is stopping');
    if (this.#closed) throw stopping();
    const listener = await this.#options.network.listen(address, (connection) => this.#accept(connection));
    this.#listener = listener;
    if (!this.#closed) return listener.address;
    await listener.close();
    throw stopping();
  }

  /** Connects to `node` before there is anything to say, so that the first request to it does not fail. */
  connect(node: NodeId): void {
    this.#link(node);
  }

  /** Another node says that `node` listens there. Without effect where it is known. */
  told(node: NodeId, address: string): void {
    if (!this.#isKnown(node)) this.#told.learn(node, { address, storeId: undefined });
  }

  #isKnown(node: NodeId): boolean {
    return this.#options.addressOf(node) !== undefined;
  }

  #welcomed({ nodeId, storeId, peerAddress: address }: Hello): void {
    if (!this.#isKnown(nodeId)) this.#told.learn(nodeId, { address, storeId });
  }

  #addressOf(node: NodeId): string | undefined {
    const { addressOf, storeFault } = this.#options;
    const known = addressOf(node);
    const told = known === undefined ? this.#told.of(node) : undefined;
    if (told === undefined) return known;
    const { address, storeId } = told;
    // A node that was removed is not looked for; with another directory it may come again.
    const isOut = storeId !== undefined && storeFault({ nodeId: node, storeId }, undefined) !== undefined;
    return isOut ? undefined : address;
  }

  /** One frame with all messages of a turn. */
  sendRaft(node: NodeId, messages: readonly OutgoingMessage[]): void {
    this.#link(node).sendRaft(messages);
  }

  /**
   * Resolves with the answer, whatever it says. Rejects with UNAVAILABLE when the node cannot be reached or the
   * connection breaks, with DEADLINE_EXCEEDED after `timeoutMs`. `relay`: see {@link RequestFrame}.
   */
  request(node: NodeId, body: PeerRequest, timeoutMs: number, relay = false): Promise<PeerResponse> {
    return this.#link(node).request(body, timeoutMs, relay);
  }

  /** As {@link request}, on a connection of its own: neither waits for the other. */
  requestBulk(node: NodeId, body: PeerRequest, timeoutMs: number): Promise<PeerResponse> {
    let link = this.#bulkLinks.get(node);
    if (link === undefined) {
      link = this.#newLink(node, `bulk-${node}`, { onUnreachable: () => undefined, onReachable: () => undefined });
      this.#bulkLinks.set(node, link);
    }
    return link.request(body, timeoutMs);
  }

  /** Whether a connection to `node` is up and its hello was accepted. */
  isReachable(node: NodeId): boolean {
    return this.#links.get(node)?.isReady ?? false;
  }

  /** Nodes that are up, and do not know this one's data directory: the last attempt to reach them was refused so. */
  get refusedBy(): ReadonlySet<NodeId> {
    return this.#refusedBy;
  }

  /** All nodes of which {@link isReachable} says so. */
  get reachable(): NodeId[] {
    return [...this.#links].flatMap(([node, link]) => (link.isReady ? [node] : []));
  }

  /** Called with every tick: gives up on what is over, dials what is due, keeps connections alive. */
  tick(): void {
    for (const link of this.#links.values()) link.tick();
    this.#tickBulkLinks();
    for (const peer of this.#accepted) peer.tick();
    this.#tickReached();
  }

  /**
   * All others dial a node that they know of. One that can dial them, and whom nobody dials, has told them a wrong address, or cannot be
   * reached there: it would wait for ever, and only their logs would say so. Said once, until it is reached.
   */
  #tickReached(): void {
    if (this.#listener === undefined) return;
    const { logger, peerAddress, timing } = this.#options;
    const isReached = [...this.#accepted].some((peer) => peer.isGreeted);
    const answering = this.reachable;
    if (isReached || answering.length === 0) {
      this.#unreachedTicks = 0;
      return;
    }
    if (++this.#unreachedTicks !== unreachedTimeouts * timing.electionTicksMax) return;
    logger.warn('other nodes answer, and none reaches this one: is its peerAddress right?', { peerAddress, answering });
  }

  /** Bulk comes seldom: a connection for it that has nothing to do goes. */
  #tickBulkLinks(): void {
    for (const [node, link] of this.#bulkLinks) {
      link.tick();
      if (link.idleTicks < bulkIdleTicksMax) continue;
      link.close();
      this.#bulkLinks.delete(node);
    }
  }

  #link(node: NodeId): PeerLink {
    let link = this.#links.get(node);
    if (link === undefined) {
      const { handler } = this.#options;
      link = this.#newLink(node, `link-${node}`, {
        onUnreachable: () => {
          this.#refusedBy.delete(node);
          handler.onUnreachable(node);
        },
        onReachable: () => {
          this.#refusedBy.delete(node);
          handler.onReachable(node);
        },
        onRefused: () => this.#refusedBy.add(node),
      });
      this.#links.set(node, link);
    }
    return link;
  }

  #newLink(node: NodeId, name: string, on: LinkEvents): PeerLink {
    const { network, clock, logger, random, limits, timing, handler } = this.#options;
    return new PeerLink({
      node,
      network,
      clock,
      logger,
      random: random.split(name),
      limits,
      timing,
      hello: this.#hello(),
      addressOf: () => this.#addressOf(node),
      refusal: (hello) => this.#refusal(hello, node),
      onUnreachable: on.onUnreachable,
      onReachable: on.onReachable,
      onGreeted: (hello) => this.#welcomed(hello),
      onRefused: (error) => {
        on.onRefused?.();
        handler.onRefused(error);
      },
      onProtocolError: (error, remote) => this.#onProtocolError(error, remote, node),
      onFailure: (error) => handler.onFailure(error),
    });
  }

  #hello(): Hello {
    const { clusterId, nodeId, storeId, peerAddress } = this.#options;
    return {
      type: 'hello',
      clusterId,
      nodeId,
      storeId,
      peerAddress,
      protocolMin: protocolVersion.min,
      protocolMax: protocolVersion.max,
    };
  }

  /** Why a node that says `hello` is not talked to; undefined when it is welcome. Not retryable: it must not run. */
  #refusal(hello: Hello, expected: NodeId | undefined): QuorateError | undefined {
    const reason = this.#mismatch(hello, expected);
    if (reason !== undefined) return new QuorateError('INVALID_ARGUMENT', reason, { retryable: true });
    const { storeFault } = this.#options;
    const { nodeId, storeId } = hello;
    const met = this.#met.get(nodeId);
    const fault = storeFault(hello, met);
    if (fault === undefined && met === undefined && this.#isKnown(nodeId)) this.#met.set(nodeId, storeId);
    return fault;
  }

  #mismatch(hello: Hello, expected: NodeId | undefined): string | undefined {
    const { clusterId, nodeId } = this.#options;
    if (hello.clusterId !== clusterId) return `it is of cluster ${hello.clusterId}, this is ${clusterId}`;
    if (hello.protocolMin > protocolVersion.max || hello.protocolMax < protocolVersion.min) {
      return `it speaks protocol ${hello.protocolMin} to ${hello.protocolMax}, this node ${protocolVersion.min} to ${protocolVersion.max}`;
    }
    if (expected !== undefined && hello.nodeId !== expected) {
      return `node ${hello.nodeId} answers in place of node ${expected}`;
    }
    return hello.nodeId === nodeId ? `it says that it is node ${nodeId}, as this one` : undefined;
  }

  #accept(connection: Connection): void {
    if (this.#closed) {
      // It was closed while it began to listen.
      connection.start({ onFrame: () => undefined, onClose: () => undefined });
      connection.close();
      return;
    }
    const { limits, timing, logger, handler } = this.#options;
    const strangers = [...this.#accepted].filter((peer) => !peer.isGreeted);
    if (strangers.length >= strangersMax) strangers[0].close();
    this.#accepted.add(
      new AcceptedPeer(connection, {
        limits,
        timing,
        logger,
        handler,
        hello: this.#hello(),
        refusal: (hello) => this.#refusal(hello, undefined),
        onGreeted: (hello) => this.#welcomed(hello),
        onProtocolError: (error, remote, from) => this.#onProtocolError(error, remote, from),
        onClosed: (peer) => this.#accepted.delete(peer),
      }),
    );
  }

  #onProtocolError(error: ProtocolError, remote: string, peer: NodeId | undefined): void {
    const { clock, logger } = this.#options;
    const count = ++this.#protocolErrors;
    const nowMs = clock.monotonicMs();
    const reason = `${peer ?? remote}: ${error.message}`;
    if (this.#logged?.reason === reason && nowMs - this.#logged.atMs < sameReasonMs) return;
    this.#logged = { reason, atMs: nowMs };
    const fields = { remote, peer, count, reason: error.message };
    // A stranger may send anything; another node of the cluster is out of order.
    if (peer === undefined) logger.warn('refused a peer', fields);
    else logger.error('a peer broke the protocol; its connection is closed', fields);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const link of [...this.#links.values(), ...this.#bulkLinks.values()]) link.close();
    await this.#listener?.close();
    for (const peer of this.#accepted) peer.close();
  }
}
