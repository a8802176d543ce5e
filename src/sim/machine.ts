/** One machine of a simulated cluster: the processes that run on it one after another, on its disk and clock. */
import { assert } from '../base/assert.js';
import { errorOf, QuorateError } from '../base/errors.js';
import type { NodeId, ShardId } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import type { JobTable } from '../env/background.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { Node } from '../node/node.js';
import type { NodeOptions } from '../node/options.js';
import type { ScanPage, ScanRequest } from '../rpc/backend.js';
import type { Replica } from '../shard/replica.js';
import { MachineClock } from './clock.js';
import type { StateMark } from './coverage.js';
import { SimDisk } from './disk.js';
import type { CrashKeeps } from './disk.js';
import { simEnv } from './env.js';
import type { SimLog } from './logger.js';
import type { SimNetwork } from './network.js';
import { SimProcess } from './process.js';
import { type ReplicaWatch, watchReplicas } from './replica-watch.js';
import type { Scheduler } from './scheduler.js';

/** What its machines take from a cluster, and tell it. */
export interface MachineCluster extends ReplicaWatch {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly log: SimLog;
  readonly jobs: JobTable;
  /** Of processes that ended by themselves with an error. */
  readonly failures: SimFailure[];
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
  readonly #cluster: MachineCluster;
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
  #isKeptDown = false;

  constructor(cluster: MachineCluster, options: NodeOptions, random: Prng) {
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

  /** Has no process run until {@link letUp}, whatever operators do with it meanwhile. */
  keepDown(): void {
    this.#isKeptDown = true;
  }

  /** Processes may run again, unless an operator has withdrawn the machine. */
  letUp(): void {
    this.#isKeptDown = false;
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
    if (this.#process !== undefined || this.#isWithdrawn || this.#isKeptDown) return;
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
    const observer = watchReplicas(this.#cluster, {
      disk: this.disk,
      onInstalled: (shard) => this.#afterInstall(process, shard),
    });
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

  /** Holds what its replicas have against what the entries add up to that they have applied. */
  readStates(mark: StateMark): void {
    this.#process?.enter(() => {
      for (const { replica } of this.#node?.host.shards ?? []) this.#readState(replica, mark);
    });
  }

  #afterInstall(process: SimProcess, shard: ShardId): void {
    this.#cluster.scheduler.schedule(0, `what ${this.name} has installed is read`, () => {
      process.enter(() => {
        const installed = this.#node?.host.shards.find(({ replica }) => replica.shard === shard);
        if (installed !== undefined) this.#readState(installed.replica, 'stateReadAfterInstall');
      });
    });
  }

  #readState({ shard, machine }: Replica, mark: StateMark): void {
    const { stateChecks, coverage } = this.#cluster;
    void stateChecks.readNewest(shard, machine, this.name).then((isRead) => {
      if (isRead) coverage.stateRead(mark);
    });
    void stateChecks.readOlder(shard, machine, this.name).then((isRead) => {
      if (isRead) coverage.stateRead('olderStateRead');
    });
  }

  /** Where it has repaired itself, whatever was damaged before it started lies aside. */
  #started({ identity: { storeId, replaces } }: Node): void {
    this.readStates('stateReadAtStart');
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
