/**
 * A whole cluster in one thread under virtual time: the nodes run the code of production on a simulated disk, network
 * and clock. Everything that happens follows from the seed.
 */
import { assert, defined } from '../base/assert.js';
import { NodeId } from '../base/ids.js';
import { defaultLimits } from '../base/limits.js';
import type { Limits } from '../base/limits.js';
import { Prng } from '../base/prng.js';
import type { JobTable } from '../env/background.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { lsmJobs } from '../lsm/jobs.js';
import { Node } from '../node/node.js';
import { defaultRaftTiming } from '../node/options.js';
import type { InitialNode, NodeOptions } from '../node/options.js';
import { MachineClock } from './clock.js';
import { SimDisk } from './disk.js';
import type { CrashKeeps } from './disk.js';
import { simEnv } from './env.js';
import { SimLog } from './logger.js';
import { SimNetwork } from './network.js';
import { SimProcess } from './process.js';
import { Scheduler } from './scheduler.js';
import type { RunTurns } from './scheduler.js';

export interface SimClusterOptions {
  readonly seed: number;
  readonly runTurns: RunTurns;
  /** Default 3. */
  readonly nodes?: number;
  /** Default 2. */
  readonly shards?: number;
  readonly limits?: Partial<Limits>;
}

/** One machine: disk and clock outlive the processes that run on it one after another. */
export class SimMachine {
  readonly name: string;
  readonly id: NodeId;
  readonly disk: SimDisk;
  readonly clock: MachineClock;
  readonly #cluster: SimCluster;
  readonly #options: NodeOptions;
  readonly #random: Prng;
  #incarnation = 0;
  #process: SimProcess | undefined;
  #node: Node | undefined;
  /** Why the last process ended by itself. */
  #failure: Error | undefined;

  constructor(cluster: SimCluster, options: NodeOptions, random: Prng) {
    this.#cluster = cluster;
    this.#options = options;
    this.#random = random;
    this.id = options.nodeId;
    this.name = `node-${options.nodeId}`;
    this.disk = new SimDisk({ random: random.split('disk') });
    const wallOffsetMs = random.int(-60_000, 60_000);
    this.clock = new MachineClock(cluster.scheduler, { wallOffsetMs, rate: 1 + (random.float() - 0.5) / 500 });
  }

  get process(): SimProcess | undefined {
    return this.#process;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  /** The running node; undefined while the machine is down or the process still opens its directory. */
  get node(): Node | undefined {
    return this.#node;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Starts a process; it opens the directory in virtual time. No effect when one runs. */
  start(): void {
    if (this.#process !== undefined) return;
    const { scheduler, network, log } = this.#cluster;
    const process = new SimProcess(scheduler, this.name);
    this.#process = process;
    this.#failure = undefined;
    const env = simEnv({
      scheduler,
      process,
      machine: this,
      network,
      jobs: this.#cluster.jobs,
      logger: log.logger({ on: this.name }),
      random: this.#random.split(`incarnation-${++this.#incarnation}`),
    });
    scheduler.note(`${this.name} starts`);
    Node.start(env, this.#options, { pid: this.#incarnation, softwareVersion: 'simulated' }).then(
      (node) => {
        if (this.#process !== process) return;
        this.#node = node;
        void node.stopped.then((error) => this.#ended(process, error));
      },
      (error: unknown) => this.#ended(process, error instanceof Error ? error : new Error(String(error))),
    );
  }

  #ended(process: SimProcess, error: Error | undefined): void {
    if (this.#process !== process) return;
    this.#failure = error;
    this.#cluster.scheduler.note(`${this.name} ended: ${error?.message ?? 'asked to'}`);
    this.crash('all');
  }

  /** Ends the process at once; `keep` says what the disk still has of what was not synced. */
  crash(keep: CrashKeeps): void {
    if (this.#process === undefined) return;
    this.#cluster.scheduler.note(`${this.name} crashes, keeps ${keep}`);
    this.#process.kill();
    this.disk.crash({ keep });
    this.#process = undefined;
    this.#node = undefined;
  }
}

export class SimCluster {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly log: SimLog;
  readonly random: Prng;
  readonly machines: readonly SimMachine[];
  readonly jobs: JobTable = lsmJobs;

  constructor(options: SimClusterOptions) {
    const { seed, runTurns, nodes: count = 3, shards = 2 } = options;
    this.random = new Prng(seed);
    this.scheduler = new Scheduler(runTurns);
    this.network = new SimNetwork(this.scheduler, { random: this.random.split('network') });
    this.log = new SimLog(this.scheduler);
    const members = Array.from({ length: count }, (_, i): InitialNode => {
      return { id: NodeId(i + 1), clientAddress: `node-${i + 1}:7000`, peerAddress: `node-${i + 1}:7100` };
    });
    this.machines = members.map((member) => {
      const nodeOptions: NodeOptions = {
        cluster: { name: 'sim', nodes: members, initialShards: shards, replicationFactor: Math.min(3, count) },
        nodeId: member.id,
        dataDirectory: '/data',
        clientListen: member.clientAddress,
        peerListen: member.peerAddress,
        raft: defaultRaftTiming,
        requestTimeoutMsDefault: 5000,
        requestTimeoutMsMax: 60_000,
        drainMsMax: 5000,
        backgroundThreads: 1,
        limits: { ...defaultLimits, ...simLimits, ...options.limits },
      };
      return new SimMachine(this, nodeOptions, this.random.split(`machine-${member.id}`));
    });
  }

  /** The machine with this node. */
  machine(id: number): SimMachine {
    return defined(this.machines[id - 1], `machine ${id}`);
  }

  startAll(): void {
    for (const machine of this.machines) machine.start();
  }

  /** Runs until every node is up and sees a leader for every shard; false when that takes longer than `msMax`. */
  runUntilReady(msMax: number): Promise<boolean> {
    return this.scheduler.runUntil(
      () => this.machines.every(({ node }) => node?.isReady ?? false),
      this.scheduler.nowMs + msMax,
    );
  }

  /**
   * Hands an operation to a node, as its gRPC service would. `done` is never called when the process dies first:
   * then nobody knows. False, and nothing is done, when there is no node to take it.
   */
  submit(id: number, operation: Operation, timeoutMs: number, done: (result: OperationResult) => void): boolean {
    const { node, process } = this.machine(id);
    if (node === undefined || process === undefined || process.state === 'dead') return false;
    this.scheduler.schedule(0, `client calls node-${id}`, () => {
      process.enter(() => node.submit(operation, timeoutMs, done));
    });
    return true;
  }

  /** Asserts that replicas which have applied the same index have the same state. Reads whole shards. */
  async checkReplicasAgree(): Promise<void> {
    const seen = new Map<string, { hash: string; on: string }>();
    for (const { node, name } of this.machines) {
      for (const { replica } of node?.host.shards ?? []) {
        const { appliedIndex, machine } = replica;
        const hash = await machine.stateHash();
        if (replica.appliedIndex !== appliedIndex) continue;
        const key = `shard ${replica.shard} at index ${appliedIndex}`;
        const other = seen.get(key);
        assert(other === undefined || other.hash === hash, `${key} differs between ${other?.on} and ${name}`);
        seen.set(key, { hash, on: name });
      }
    }
  }

  /** Ends all processes. */
  stop(): void {
    for (const machine of this.machines) machine.crash('all');
  }
}

const kib = 1024;

/** Small, so that flushes, compactions and segment changes happen in a short run. */
const simLimits: Partial<Limits> = {
  keyBytesMax: 256,
  valueBytesMax: 4 * kib,
  entryBytesMax: 16 * kib,
  appendBytesMax: 16 * kib,
  segmentBytesMax: 64 * kib,
  logBytesFlush: 256 * kib,
  logCacheBytesMax: 32 * kib,
  nodeMemtableBytesMax: 512 * kib,
  memtableBytesMax: 64 * kib,
  blockCacheBytesMax: 256 * kib,
};
