/**
 * A whole cluster in one thread under virtual time: the nodes run the code of production on a simulated disk, network
 * and clock. Everything that happens follows from the seed.
 */
import { assert, defined } from '../base/assert.js';
import { errorOf, QuorateError } from '../base/errors.js';
import { NodeId } from '../base/ids.js';
import type { LogIndex } from '../base/ids.js';
import { checkLimits, defaultLimits } from '../base/limits.js';
import type { Limits } from '../base/limits.js';
import { Prng } from '../base/prng.js';
import type { JobTable } from '../env/background.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { lsmJobs } from '../lsm/jobs.js';
import { Node } from '../node/node.js';
import { defaultRaftTiming } from '../node/options.js';
import type { InitialNode, NodeOptions, RaftTiming, RepairMode } from '../node/options.js';
import type { ScanPage, ScanRequest } from '../rpc/backend.js';
import { MachineClock } from './clock.js';
import { Coverage } from './coverage.js';
import { SimDisk } from './disk.js';
import type { CrashKeeps } from './disk.js';
import { simEnv } from './env.js';
import { simLimits } from './limits.js';
import { SimLog } from './logger.js';
import { SimNetwork } from './network.js';
import { SimProcess } from './process.js';
import { RaftChecks } from './raft-checks.js';
import { watchReplicas } from './replica-watch.js';
import { Scheduler } from './scheduler.js';
import type { RunTurns } from './scheduler.js';

export interface SimClusterOptions {
  readonly seed: number;
  readonly runTurns: RunTurns;
  /** Default 3. */
  readonly nodes?: number;
  /** The first so many form the cluster; the others join it when they are started. Default: all. */
  readonly forming?: number;
  /** Of each shard. Default 3, or as many as there are nodes. */
  readonly replicas?: number;
  /** Default 2. */
  readonly shards?: number;
  /** Over those that suit a short run: {@link simLimits}. */
  readonly limits?: Partial<Limits>;
  /** Over the default timing. */
  readonly raft?: Partial<RaftTiming>;
  /** Default `manual`. */
  readonly repair?: RepairMode;
}

/** Where the pages of a scan go. */
export interface ScanReader {
  page(page: ScanPage): void;
  end(error: QuorateError | undefined): void;
}

/** One machine: disk and clock outlive the processes that run on it one after another. */
export class SimMachine {
  readonly name: string;
  readonly id: NodeId;
  /** Another may take its place while no process runs: a lost disk. */
  disk: SimDisk;
  readonly clock: MachineClock;
  readonly #cluster: SimCluster;
  readonly #options: NodeOptions;
  readonly #random: Prng;
  #incarnation = 0;
  #process: SimProcess | undefined;
  #node: Node | undefined;
  /** Why the last process ended by itself. */
  #failure: Error | undefined;
  #callsUnderWay = 0;
  /** Which incarnation was the last then. */
  #suspectSince: number | undefined;
  #storeId: string | undefined;
  #repairs = 0;
  #isOut = false;
  #isWithdrawn = false;

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

  /** Something on its disk is not what was written: its process may stop because of that. */
  get isSuspect(): boolean {
    return this.#suspectSince !== undefined;
  }

  /** The disk is damaged, or was lost. */
  suspect(): void {
    this.#suspectSince = this.#incarnation;
  }

  /** How often its node has put a damaged directory aside. */
  get repairs(): number {
    return this.#repairs;
  }

  get isWithdrawn(): boolean {
    return this.#isWithdrawn;
  }

  /** Nothing is wrong with the disk any more. */
  trust(): void {
    this.#suspectSince = undefined;
  }

  /** Its node is removed, or was and comes again: others may refuse its process, which stops then. */
  takeOut(): void {
    this.#isOut = true;
  }

  /** Its node is a member as any other. */
  takeIn(): void {
    this.#isOut = false;
  }

  /** Ends the process, and has none run, as an operator does whose machine has a damaged disk. */
  withdraw(): void {
    this.crash('all');
    this.#isWithdrawn = true;
  }

  /** Processes may run again, on this disk. */
  putInService(disk: SimDisk): void {
    this.disk = disk;
    this.#isWithdrawn = false;
  }

  /** Operations that the running process was given and has not answered. */
  get callsUnderWay(): number {
    return this.#callsUnderWay;
  }

  /**
   * Hands an operation to the node, as its gRPC service would. `done` is never called when the process dies first:
   * then nobody knows. False, and nothing is done, when there is no node to take it.
   */
  submit(operation: Operation, timeoutMs: number, done: (result: OperationResult) => void): boolean {
    const process = this.#process;
    const node = this.#node;
    if (process === undefined || node === undefined) return false;
    let isAnswered = false;
    const answered = (result: OperationResult): void => {
      assert(!isAnswered, `${this.name} answers one operation twice`);
      isAnswered = true;
      this.#callsUnderWay--;
      done(result);
    };
    this.#cluster.scheduler.schedule(0, `client calls ${this.name}`, () => {
      process.enter(() => {
        this.#callsUnderWay++;
        node.submit(operation, timeoutMs, answered);
      });
    });
    return true;
  }

  /**
   * Hands a scan to the node. `end` gets an error or undefined; it is never called when the process dies first. False,
   * and nothing is done, when there is no node to take it.
   */
  scan(request: ScanRequest, reader: ScanReader, signal: AbortSignal): boolean {
    const process = this.#process;
    const node = this.#node;
    if (process === undefined || node === undefined) return false;
    const read = async (): Promise<void> => {
      for await (const page of node.scan(request, signal)) reader.page(page);
    };
    this.#cluster.scheduler.schedule(0, `client scans at ${this.name}`, () => {
      process.enter(() => {
        read().then(
          () => reader.end(undefined),
          (error: unknown) => reader.end(QuorateError.from(error)),
        );
      });
    });
    return true;
  }

  /** Starts a process; it opens the directory in virtual time. No effect when one runs, or none is to run any more. */
  start(): void {
    if (this.#process !== undefined || this.#isWithdrawn) return;
    const { scheduler, network, log } = this.#cluster;
    const process = new SimProcess(scheduler, this.name);
    this.#process = process;
    this.#failure = undefined;
    this.#callsUnderWay = 0;
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
    const facts = { pid: this.#incarnation, softwareVersion: 'simulated' };
    const observer = watchReplicas(this.#cluster.raftChecks, this.#cluster.coverage, this.disk);
    Node.start(env, this.#options, facts, observer).then(
      (node) => {
        if (this.#process !== process) return;
        this.#node = node;
        this.#started(node);
        void node.stopped.then((error) => this.#ended(process, error));
      },
      (error: unknown) => this.#ended(process, errorOf(error)),
    );
  }

  /** Where it has repaired itself, whatever was damaged before it started lies aside. */
  #started({ identity: { storeId, replaces } }: Node): void {
    const isRepaired = replaces !== undefined && storeId !== this.#storeId;
    this.#storeId = storeId;
    if (!isRepaired) return;
    this.#repairs++;
    if (this.#suspectSince !== undefined && this.#suspectSince < this.#incarnation) this.trust();
  }

  #ended(process: SimProcess, error: Error | undefined): void {
    if (this.#process !== process) return;
    this.#failure = error;
    if (error !== undefined)
      this.#cluster.failures.push({ machine: this, error, onSuspectDisk: this.isSuspect, isOut: this.#isOut });
    this.#cluster.scheduler.note(`${this.name} ended: ${error?.message ?? 'asked to'}`);
    this.crash('all');
  }

  /** Ends the process at once; `keep` says what the disk still has of what was not synced. */
  crash(keep: CrashKeeps): void {
    if (this.#process === undefined) return;
    this.#cluster.scheduler.note(`${this.name} crashes, keeps ${keep}`);
    if (this.#node !== undefined) this.#cluster.coverage.ended(this.#node);
    this.#process.kill();
    this.disk.crash({ keep });
    this.#process = undefined;
    this.#node = undefined;
  }
}

/** A process that ended by itself. */
export interface SimFailure {
  readonly machine: SimMachine;
  readonly error: Error;
  /** See {@link SimMachine.isSuspect}, as of then. */
  readonly onSuspectDisk: boolean;
  /** See {@link SimMachine.takeOut}, as of then. */
  readonly isOut: boolean;
}

export class SimCluster {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly log: SimLog;
  readonly random: Prng;
  /** Of all replicas, at every step. */
  readonly raftChecks = new RaftChecks();
  readonly coverage = new Coverage();
  readonly jobs: JobTable = lsmJobs;
  readonly limits: Limits;
  readonly raft: RaftTiming;
  /** Of each shard. */
  readonly replicationFactor: number;
  /** Every process that ended by itself with an error. */
  readonly failures: SimFailure[] = [];
  /** Those that formed the cluster. */
  readonly founders: readonly InitialNode[];
  readonly shards: number;
  readonly #repair: RepairMode;
  readonly #machines: SimMachine[] = [];

  constructor(options: SimClusterOptions) {
    const { seed, runTurns, nodes: count = 3, shards = 2 } = options;
    this.limits = { ...defaultLimits, ...simLimits, ...options.limits };
    checkLimits(this.limits);
    this.raft = { ...defaultRaftTiming, ...options.raft };
    const forming = options.forming ?? count;
    const replicationFactor = options.replicas ?? Math.min(3, forming);
    this.replicationFactor = replicationFactor;
    this.random = new Prng(seed);
    this.scheduler = new Scheduler(runTurns);
    this.network = new SimNetwork(this.scheduler, { random: this.random.split('network') });
    this.log = new SimLog(this.scheduler, { onLine: (line) => this.coverage.logged(line) });
    this.shards = shards;
    this.#repair = options.repair ?? 'manual';
    this.founders = Array.from({ length: forming }, (_, i) => member(i + 1));
    for (let i = 0; i < count; i++) this.addMachine();
  }

  get machines(): readonly SimMachine[] {
    return this.#machines;
  }

  /** With the next id and an empty disk; to be started. Its node joins the cluster, unless it is one of those that form it. */
  addMachine(): SimMachine {
    const { id, clientAddress, peerAddress } = member(this.#machines.length + 1);
    const { founders: nodes, replicationFactor } = this;
    const nodeOptions: NodeOptions = {
      cluster: { name: 'sim', nodes, initialShards: this.shards, replicationFactor },
      nodeId: id,
      clientAddress,
      peerAddress,
      dataDirectory: '/data',
      clientListen: clientAddress,
      peerListen: peerAddress,
      raft: this.raft,
      requestTimeoutMsDefault: 5000,
      requestTimeoutMsMax: 60_000,
      drainMsMax: 5000,
      backgroundThreads: 1,
      repair: this.#repair,
      limits: this.limits,
    };
    const machine = new SimMachine(this, nodeOptions, this.random.split(`machine-${id}`));
    this.#machines.push(machine);
    return machine;
  }

  /** Machines that are not withdrawn. */
  get inService(): readonly SimMachine[] {
    return this.machines.filter(({ isWithdrawn }) => !isWithdrawn);
  }

  /** The machine with this node. */
  machine(id: number): SimMachine {
    return defined(this.machines[id - 1], `machine ${id}`);
  }

  startAll(): void {
    for (const machine of this.machines) machine.start();
  }

  /** Runs until every node in service is up and sees a leader for every shard; false when that takes longer than `msMax`. */
  runUntilReady(msMax: number): Promise<boolean> {
    return this.scheduler.runUntil(
      () => this.inService.every(({ node }) => node?.isReady ?? false),
      this.scheduler.nowMs + msMax,
      5, // Asking whether all are ready is asking all of them for the leaders of all shards.
    );
  }

  submit(id: number, operation: Operation, timeoutMs: number, done: (result: OperationResult) => void): boolean {
    return this.machine(id).submit(operation, timeoutMs, done);
  }

  /**
   * Asserts that replicas which have applied the same index have the same state. Reads whole shards. False when not
   * all replicas of each shard could be compared, since they were not at one index.
   */
  async checkReplicasAgree(): Promise<boolean> {
    const seen = new Map<number, { readonly index: LogIndex; readonly hash: string; readonly on: string }[]>();
    for (const { node, name } of this.machines) {
      for (const { replica } of node?.host.shards ?? []) {
        const { appliedIndex: index, machine, shard } = replica;
        const hash = await machine.stateHash();
        if (replica.appliedIndex !== index) return false;
        const others = seen.get(shard) ?? [];
        const differs = others.find((other) => other.index === index && other.hash !== hash);
        assert(differs === undefined, `shard ${shard} at index ${index} differs between ${differs?.on} and ${name}`);
        seen.set(shard, [...others, { index, hash, on: name }]);
      }
    }
    return [...seen.values()].every((replicas) => replicas.every(({ index }) => index === replicas[0].index));
  }

  /** Ends all processes. */
  stop(): void {
    for (const machine of this.machines) machine.crash('all');
  }
}

function member(id: number): InitialNode {
  return { id: NodeId(id), clientAddress: `node-${id}:7000`, peerAddress: `node-${id}:7100` };
}
