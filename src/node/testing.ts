/**
 * A whole cluster inside a test process, for users' own tests: real sockets on loopback, real files in a temporary
 * directory, the same code as in production.
 *
 * ```ts
 * import { connect } from 'quorate';
 * import { startCluster } from 'quorate/testing';
 *
 * await using cluster = await startCluster({ nodes: 3 });
 * await using client = await connect({ endpoints: cluster.endpoints });
 * await client.put('greeting', 'hello');
 * ```
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuorateError } from '../base/errors.js';
import { NodeId } from '../base/ids.js';
import { defaultLimits } from '../base/limits.js';
import type { Limits } from '../base/limits.js';
import { silentLogger } from '../env/logger.js';
import type { Logger } from '../env/logger.js';
import { freePorts } from '../platform/free-ports.js';
import { defaultRaftTiming } from './options.js';
import type { InitialNode, NodeOptions, RaftTiming } from './options.js';
import { serveNode } from './serve.js';
import type { RunningNode } from './serve.js';

export interface TestClusterOptions {
  /** Number of nodes, 1 to 5. Default 3. */
  readonly nodes?: number;
  /** Shards that the key space is split into. Default 4. */
  readonly shards?: number;
  /** Limits that differ from the defaults. */
  readonly limits?: Partial<Limits>;
  /** Raft times that differ from the defaults; tests that kill nodes may want shorter ones. */
  readonly raft?: Partial<RaftTiming>;
  /** Where nodes log. Default: nowhere. */
  readonly logger?: Logger;
  /** Milliseconds until every shard has a leader, or starting fails. Default 20 000. */
  readonly startMsMax?: number;
}

/** A node of a {@link TestCluster}, numbered from 1. */
export interface TestNode {
  readonly id: number;
  /** `host:port` of its gRPC service, running or not. */
  readonly endpoint: string;
  readonly dataDirectory: string;
  readonly running: boolean;
  /** Ends it at once, without handing anything over. */
  kill(): Promise<void>;
  /** Hands leadership over and ends it. */
  stop(): Promise<void>;
  /** Starts it again on its data. */
  start(): Promise<void>;
}

export interface TestCluster extends AsyncDisposable {
  readonly nodes: readonly TestNode[];
  /** For `connect`. */
  readonly endpoints: readonly string[];
}

/**
 * Starts a cluster and waits until it takes requests. Dispose it to stop the nodes and remove their data. A process that
 * exits, or is ended by SIGINT or SIGTERM, without that removes the data too; after SIGKILL or a crash of the machine
 * `quorate-…` stays in the folder for temporary files.
 */
export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const { nodes: count = 3, shards = 4, startMsMax = 20_000 } = options;
  const directory = await mkdtemp(join(tmpdir(), 'quorate-'));
  const forget = removeAtEnd(directory);
  const ports = await freePorts(count * 2);
  const members = Array.from({ length: count }, (_, i): InitialNode => {
    const [clientPort, peerPort] = ports.slice(i * 2);
    return { id: NodeId(i + 1), clientAddress: `127.0.0.1:${clientPort}`, peerAddress: `127.0.0.1:${peerPort}` };
  });
  const nodes = members.map((member) => {
    const nodeOptions: NodeOptions = {
      cluster: { name: 'test', nodes: members, initialShards: shards, replicationFactor: Math.min(3, count) },
      nodeId: member.id,
      clientAddress: member.clientAddress,
      peerAddress: member.peerAddress,
      dataDirectory: join(directory, `node-${member.id}`),
      clientListen: member.clientAddress,
      peerListen: member.peerAddress,
      raft: { ...defaultRaftTiming, ...options.raft },
      requestTimeoutMsDefault: 5000,
      requestTimeoutMsMax: 60_000,
      drainMsMax: 5000,
      backgroundThreads: 1,
      repair: 'manual',
      limits: { ...defaultLimits, ...options.limits },
    };
    return new InProcessNode(nodeOptions, options.logger ?? silentLogger);
  });
  const cluster: TestCluster = {
    nodes,
    endpoints: nodes.map((node) => node.endpoint),
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.kill()));
      await rm(directory, { recursive: true, force: true });
      forget();
    },
  };
  try {
    await Promise.all(nodes.map((node) => node.start()));
    await Promise.all(nodes.map((node) => node.ready(startMsMax)));
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** Removes the directory when this process ends, unless the returned function was called before. */
function removeAtEnd(directory: string): () => void {
  const remove = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const onSignal = (signal: NodeJS.Signals): void => {
    remove();
    forget();
    // With nobody else listening, the signal ends the process as it would have without us.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const forget = (): void => {
    process.off('exit', remove);
    for (const signal of endSignals) process.off(signal, onSignal);
  };
  process.once('exit', remove);
  for (const signal of endSignals) process.on(signal, onSignal);
  return forget;
}

const endSignals = ['SIGINT', 'SIGTERM'] as const;

class InProcessNode implements TestNode {
  readonly #options: NodeOptions;
  readonly #logger: Logger;
  #node: RunningNode | undefined;

  constructor(options: NodeOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  get id(): number {
    return this.#options.nodeId;
  }

  get endpoint(): string {
    return this.#options.clientListen;
  }

  get dataDirectory(): string {
    return this.#options.dataDirectory;
  }

  get running(): boolean {
    return this.#node !== undefined;
  }

  async start(): Promise<void> {
    if (this.#node !== undefined) return;
    const node = await serveNode(this.#options, { logger: this.#logger });
    this.#node = node;
    void node.stopped.then(() => {
      if (this.#node === node) this.#node = undefined;
    });
  }

  async ready(msMax: number): Promise<void> {
    if (this.#node === undefined || (await this.#node.ready(msMax))) return;
    throw new QuorateError('SHARD_UNAVAILABLE', `the cluster did not elect its leaders within ${msMax} ms`);
  }

  async kill(): Promise<void> {
    await this.#node?.kill();
  }

  async stop(): Promise<void> {
    await this.#node?.stop();
  }
}
