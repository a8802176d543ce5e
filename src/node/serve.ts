/** A node as a real process runs it: on the platform's disk, network and clock, with the gRPC service in front. */
import { createRequire } from 'node:module';
import type { Logger } from '../env/logger.js';
import { SystemClock } from '../platform/clock.js';
import { NodeDisk } from '../platform/disk.js';
import { TcpNetwork } from '../platform/network.js';
import { SystemRandom } from '../platform/random.js';
import { GrpcServer } from '../rpc/server.js';
import { backgroundPool } from './background-pool.js';
import { openDataDirectory } from './directory/data-directory.js';
import { Node } from './node.js';
import type { NodeOptions } from './options.js';

export interface RunningNode extends AsyncDisposable {
  /** `host:port` of the gRPC service, as bound. */
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** Resolves when the node has stopped: with the error that ended it, or undefined when `stop` did. */
  readonly stopped: Promise<Error | undefined>;
  /** Hands leadership over, lets requests under way end, and ends the node. Idempotent. */
  stop(): Promise<void>;
  /** Resolves to whether the cluster is formed and every shard has a leader that this node knows, within `msMax`. */
  ready(msMax: number): Promise<boolean>;
  /** Ends the node at once, as a crash would but without losing the process. */
  kill(): Promise<void>;
}

const packageFile = createRequire(import.meta.url)('quorate/package.json') as { version: string };
const softwareVersion = packageFile.version;

/** Starts a node; it is ready for requests when this resolves, also while it has not met the others yet. */
export async function serveNode(options: NodeOptions, dependencies: { logger: Logger }): Promise<RunningNode> {
  const logger = dependencies.logger.child({ node: options.nodeId });
  const disk = new NodeDisk();
  const lock = await openDataDirectory(disk, options.dataDirectory);
  const background = backgroundPool(options.backgroundThreads);
  const clock = new SystemClock();
  const network = new TcpNetwork({ peerFrameBytesMax: options.limits.peerFrameBytesMax });
  const random = new SystemRandom();
  const release = async (): Promise<void> => {
    await background[Symbol.asyncDispose]();
    await lock[Symbol.asyncDispose]();
  };
  let node: Node;
  try {
    const facts = { pid: process.pid, softwareVersion };
    node = await Node.start({ clock, disk, network, background, random, logger }, options, facts);
  } catch (error) {
    await release();
    throw error;
  }
  const server = new GrpcServer({
    kv: node,
    admin: node,
    limits: options.limits,
    logger,
    clock,
    nowEpochMs: () => Date.now(),
    defaultTimeoutMs: options.requestTimeoutMsDefault,
    timeoutMsMax: options.requestTimeoutMsMax,
  });
  try {
    const clientAddress = await server.listen(options.clientListen);
    server.setServing(true);
    return new ServedNode({ node, server, clientAddress, drainMsMax: options.drainMsMax, release });
  } catch (error) {
    server.close();
    await node.close();
    await release();
    throw error;
  }
}

interface ServedParts {
  readonly node: Node;
  readonly server: GrpcServer;
  readonly clientAddress: string;
  readonly drainMsMax: number;
  readonly release: () => Promise<void>;
}

class ServedNode implements RunningNode {
  readonly clientAddress: string;
  readonly stopped: Promise<Error | undefined>;
  readonly #parts: ServedParts;
  #stopping: Promise<void> | undefined;

  constructor(parts: ServedParts) {
    this.#parts = parts;
    this.clientAddress = parts.clientAddress;
    this.stopped = parts.node.stopped.then(async (error) => {
      parts.server.close();
      await parts.release();
      return error;
    });
  }

  get peerAddress(): string {
    return this.#parts.node.peerAddress;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { node, server, drainMsMax } = this.#parts;
    server.setServing(false);
    await node.handOver(drainMsMax / 2);
    await Promise.all([server.drain(drainMsMax / 2), node.drain(drainMsMax / 2)]);
    await this.kill();
  }

  ready(msMax: number): Promise<boolean> {
    return this.#parts.node.ready(msMax);
  }

  async kill(): Promise<void> {
    await this.#parts.node.close();
    await this.stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
