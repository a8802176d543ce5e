/**
 * Asks the cluster to take this node's damaged data directory out of use for good, as `quorate node replace` does for an operator. The
 * node has part in nothing meanwhile: it dials others and asks, but listens to nobody, sends no Raft message and answers none. What it is
 * known by is the identity of the directory, which nobody has who did not have the directory.
 */
import { errorOf, QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { Timer } from '../../env/clock.js';
import type { Env } from '../../env/env.js';
import { pause } from '../../env/pause.js';
import { ProtocolError } from '../peers/protocol-error.js';
import { Peers } from '../peers/peers.js';
import type { Identity } from './identity.js';
import type { NodeOptions } from '../options.js';

const retryMs = 500;
const tryMsMax = 5000;

/**
 * Resolves when the directory is retired, however long it takes until somebody can decide that. Rejects with the QuorateError of a
 * refusal that waiting does not change: see `replacementBegin`; and with UNAVAILABLE after `msMax`, when it may be retired yet.
 */
export async function retire(env: Env, options: NodeOptions, identity: Identity, msMax: number): Promise<void> {
  const retirement = new Retirement(env, options, identity);
  try {
    await retirement.ask(msMax);
  } finally {
    await retirement.close();
  }
}

class Retirement {
  readonly #env: Env;
  readonly #options: NodeOptions;
  readonly #identity: Identity;
  readonly #peers: Peers;
  readonly #over = new AbortController();
  #timer: Timer | undefined;
  #isRetired = false;
  /** The last one that was logged. */
  #reason = '';

  constructor(env: Env, options: NodeOptions, identity: Identity) {
    this.#env = env;
    this.#options = options;
    this.#identity = identity;
    const { network, clock, logger, random } = env;
    const { limits, raft: timing, peerAddress, cluster } = options;
    this.#peers = new Peers({
      ...identity,
      network,
      clock,
      logger,
      random: random.split('retirement'),
      limits,
      timing,
      peerAddress,
      addressOf: (node) => cluster.nodes.find(({ id }) => id === node)?.peerAddress,
      storeFault: () => undefined,
      handler: {
        onRaft: () => {
          throw new ProtocolError('a Raft message for a node that listens to nobody');
        },
        onRequest: () => {
          throw new ProtocolError('a request to a node that listens to nobody');
        },
        onUnreachable: () => undefined,
        onReachable: () => undefined,
        onRefused: (error) => this.#onRefused(error),
        onFailure: (error) => this.#over.abort(errorOf(error)),
      },
    });
  }

  /** Whoever has applied the retirement says so to everybody who comes with the directory. */
  #onRefused(error: QuorateError): void {
    if (error.code === 'NODE_RETIRED') this.#isRetired = true;
    this.#over.abort(error);
  }

  async ask(msMax: number): Promise<void> {
    const { clock } = this.#env;
    const { electionTicksMax, tickMs } = this.#options.raft;
    // What has damaged this node may have ended others, too: by then whoever decides has given up their connections (liveness.ts).
    const quietMs = 3 * electionTicksMax * tickMs;
    const untilMs = clock.monotonicMs() + quietMs + msMax;
    const { nodeId } = this.#identity;
    const others = this.#options.cluster.nodes.map(({ id }) => id).filter((id) => id !== nodeId);
    if (others.length === 0) throw new QuorateError('INVALID_ARGUMENT', 'the configuration names no other node');
    for (const node of others) this.#peers.connect(node);
    this.#planTick();
    let leader: NodeId | undefined;
    for (let turn = 0; !this.#isRetired; turn++) {
      if (clock.monotonicMs() >= untilMs) throw new QuorateError('UNAVAILABLE', `nobody could decide: ${this.#reason}`);
      try {
        await pause(clock, turn === 0 ? quietMs : retryMs, this.#over.signal);
        leader = await this.#askNode(leader ?? others[turn % others.length]);
      } catch (error) {
        if (!this.#isRetired) throw error;
      }
    }
  }

  #planTick(): void {
    this.#timer = this.#env.clock.after(this.#options.raft.tickMs, () => {
      this.#planTick();
      this.#peers.tick();
    });
  }

  /** Resolves to who leads, as that one says, where it cannot decide itself. */
  async #askNode(node: NodeId): Promise<NodeId | undefined> {
    const { nodeId, storeId } = this.#identity;
    try {
      const body = { type: 'replaceNode', node: nodeId, storeId } as const;
      const response = await this.#peers.request(node, body, tryMsMax);
      if (response.type !== 'failed') {
        this.#isRetired = true;
        return undefined;
      }
      this.#wait(node, response.error);
      const { leader, leaderAddress } = response;
      if (leader === nodeId) return undefined;
      // One that was added later is not in the configuration, which is all that is known here.
      if (leader !== undefined && leaderAddress !== undefined) this.#peers.told(leader, leaderAddress);
      return leader;
    } catch (thrown) {
      this.#wait(node, QuorateError.from(thrown));
      return undefined;
    }
  }

  #wait(node: NodeId, error: QuorateError): void {
    if (!error.retryable) throw error;
    const { logger } = this.#env;
    if (error.message !== this.#reason) logger.warn('waits to be replaced', { asked: node, reason: error.message });
    this.#reason = error.message;
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#peers.close();
  }
}
