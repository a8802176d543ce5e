/**
 * A cluster of real processes on loopback, each with a data directory of its own: what real faults are done to. Used
 * by the integration tests, by the benchmarks and by jepsen-lite's workloads.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { freePorts } from '../../src/platform/free-ports.js';
import { nodeArguments } from '../../src/platform/node-arguments.js';

export interface ProcessClusterOptions {
  /** The file that `npx quorate` runs. */
  readonly program: string;
  /** Default 3. */
  readonly nodes?: number;
  /** Settings beyond addresses and directories, for every node: `{ limits: { … } }`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /**
   * Shards that the key space is split into; `ofTheNode`: the nodes are not told, and take their own default. Default 4, enough
   * that each node leads some.
   */
  readonly shards?: number | 'ofTheNode';
  /** Environment variables of the processes, besides those of this one. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Where the data goes. Default: a temporary folder, removed at the end. */
  readonly folder?: string;
}

export interface ProcessExit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One node; its process may start and end any number of times. */
export class ClusterProcess {
  readonly id: number;
  readonly endpoint: string;
  readonly peerAddress: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly dataDirectory: string;
  readonly #program: string;
  readonly #environment: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #exit: Promise<ProcessExit> = Promise.resolve({ status: null, signal: null });

  constructor(options: {
    id: number;
    endpoint: string;
    peerAddress: string;
    folder: string;
    program: string;
    environment: Readonly<Record<string, string>>;
    config: Readonly<Record<string, unknown>>;
  }) {
    this.id = options.id;
    this.endpoint = options.endpoint;
    this.peerAddress = options.peerAddress;
    this.configFile = join(options.folder, `node-${options.id}.yaml`);
    this.logFile = join(options.folder, `node-${options.id}.log`);
    this.dataDirectory = join(options.folder, `node-${options.id}`);
    this.#program = options.program;
    this.#environment = options.environment;
    this.configure(options.config);
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the last process that was started has ended. */
  get exited(): Promise<ProcessExit> {
    return this.#exit;
  }

  /** Everything that the node has logged. */
  get log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** Replaces the configuration file; for the next start. */
  configure(config: Readonly<Record<string, unknown>>): void {
    writeFileSync(this.configFile, stringify({ ...config, nodeId: this.id, dataDirectory: this.dataDirectory }));
  }

  start(): void {
    if (this.#child !== undefined) return;
    const log = openSync(this.logFile, 'a');
    const child = spawn(process.execPath, [...nodeArguments, this.#program, 'serve', '--config', this.configFile], {
      env: { ...process.env, ...this.#environment },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      child.once('exit', (status, signal) => {
        if (this.#child === child) this.#child = undefined;
        resolve({ status, signal });
      });
    });
  }

  /** Sends a signal and, unless the process can live on with it, waits for its end. */
  async signal(signal: NodeJS.Signals): Promise<ProcessExit | undefined> {
    if (this.#child === undefined) return undefined;
    this.#child.kill(signal);
    return signal === 'SIGSTOP' || signal === 'SIGCONT' ? undefined : await this.#exit;
  }
}

export class ProcessCluster implements AsyncDisposable {
  readonly folder: string;
  readonly #nodes: ClusterProcess[];
  readonly #removeFolder: boolean;
  /** Makes one that is not among those that form the cluster. */
  readonly #newcomer: (id: number, ports: readonly number[]) => ClusterProcess;

  private constructor(
    nodes: ClusterProcess[],
    folder: string,
    removeFolder: boolean,
    newcomer: (id: number, ports: readonly number[]) => ClusterProcess,
  ) {
    this.#nodes = nodes;
    this.folder = folder;
    this.#removeFolder = removeFolder;
    this.#newcomer = newcomer;
  }

  /** Writes the configuration of every node; starts none. */
  static async create(options: ProcessClusterOptions): Promise<ProcessCluster> {
    const { program, nodes: count = 3, shards = 4, settings = {}, environment = {} } = options;
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'quorate-processes-'));
    mkdirSync(folder, { recursive: true });
    const ports = await freePorts(count * 2);
    const members = Array.from({ length: count }, (_, i) => ({
      id: i + 1,
      clientAddress: `127.0.0.1:${ports[2 * i]}`,
      peerAddress: `127.0.0.1:${ports[2 * i + 1]}`,
    }));
    const replicationFactor = count < 3 ? 1 : 3;
    const initialShards = shards === 'ofTheNode' ? {} : { initialShards: shards };
    const cluster = { name: 'processes', nodes: members, ...initialShards, replicationFactor };
    const common = { folder, program, environment };
    const nodes = members.map(({ id, clientAddress, peerAddress }) => {
      const config = { ...settings, cluster };
      return new ClusterProcess({ ...common, id, endpoint: clientAddress, peerAddress, config });
    });
    const newcomer = (id: number, [clientPort, peerPort]: readonly number[]): ClusterProcess => {
      const [endpoint, peerAddress] = [`127.0.0.1:${clientPort}`, `127.0.0.1:${peerPort}`];
      const config = { ...settings, cluster, clientAddress: endpoint, peerAddress };
      return new ClusterProcess({ ...common, id, endpoint, peerAddress, config });
    };
    return new ProcessCluster(nodes, folder, options.folder === undefined, newcomer);
  }

  /** One more node, which joins the others when it is started. */
  async add(): Promise<ClusterProcess> {
    const node = this.#newcomer(this.nodes.length + 1, await freePorts(2));
    this.#nodes.push(node);
    return node;
  }

  get nodes(): readonly ClusterProcess[] {
    return this.#nodes;
  }

  get endpoints(): readonly string[] {
    return this.nodes.map((node) => node.endpoint);
  }

  /** The node with this id, from 1. */
  node(id: number): ClusterProcess {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  start(): void {
    for (const node of this.nodes) node.start();
  }

  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.signal('SIGKILL')));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.signal('SIGTERM')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#removeFolder) rmSync(this.folder, { recursive: true, force: true });
  }
}
