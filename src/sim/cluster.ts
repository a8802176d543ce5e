/**
 * A whole cluster in one thread under virtual time: the nodes run the code of production on a simulated disk, network
 * and clock. Everything that happens follows from the seed.
 */
import { assert, defined } from '../base/assert.js';
import { NodeId, placementShardId } from '../base/ids.js';
import type { LogIndex, ShardId } from '../base/ids.js';
import { checkLimits, defaultLimits } from '../base/limits.js';
import type { Limits } from '../base/limits.js';
import { Prng } from '../base/prng.js';
import type { JobTable } from '../env/background.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import { lsmJobs } from '../lsm/jobs.js';
import { defaultRaftTiming } from '../node/options.js';
import type { InitialNode, NodeOptions, RaftTiming, RepairMode } from '../node/options.js';
import { Coverage } from './coverage.js';
import { simLimits } from './limits.js';
import { SimLog } from './logger.js';
import { type SimFailure, SimMachine } from './machine.js';
import { SimNetwork } from './network.js';
import { RaftChecks } from './raft-checks.js';
import { Scheduler } from './scheduler.js';
import type { RunTurns } from './scheduler.js';
import { StateChecks } from './state-checks.js';

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

export class SimCluster {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly log: SimLog;
  readonly random: Prng;
  /** Of all replicas, at every step. */
  readonly raftChecks = new RaftChecks();
  /** Of what they hold. */
  readonly stateChecks: StateChecks;
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
    this.stateChecks = new StateChecks({
      random: new Prng(seed).split('states'),
      retentionOf: (shard) => promisedVersions(shard, this.limits),
    });
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

  /** Of rules that must hold at every step, as soon as one is seen. */
  get violations(): readonly string[] {
    return [...this.raftChecks.violations, ...this.stateChecks.violations];
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

/** What readers are promised, in units of versions: microseconds, and changes of the placement group. Said apart from the nodes' own code. */
function promisedVersions(shard: ShardId, { versionRetentionMs }: Limits): number {
  return shard === placementShardId ? 1000 : versionRetentionMs * 1000;
}

function member(id: number): InitialNode {
  return { id: NodeId(id), clientAddress: `node-${id}:7000`, peerAddress: `node-${id}:7100` };
}
