/**
 * An operator who adds machines to a cluster, has shards move to them, and takes nodes out of it, while everything else goes on: one wish
 * at a time, which he tells any node, again and again until it is fulfilled. So he wishes only for what can be when all is well.
 */
import { QuorateError } from '../base/errors.js';
import { placementShardId } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import type { Node } from '../node/node.js';
import type { WantedReplicas } from '../rpc/backend.js';
import type { SimCluster } from './cluster.js';
import type { SimFailure, SimMachine } from './machine.js';
import { SimDisk } from './disk.js';
import type { Fault } from './fault.js';

const lookMs = 500;
const askMsMax = 5000;
/** A fault of this kind is counted when it was done within this. */
const wishMs = 30_000;
/** Besides those that there are at the beginning; and those of them that were removed. */
const spareMax = 2;
const machinesMax = 8;
const useChance = 0.8;
const returnChance = 0.4;
const isToldChance = 0.5;
/** A removed node's process runs on for so long at most. */
const toldMsMax = 10_000;

/**
 * - `joining`: the machine has been started with an empty disk, and is to be a member;
 * - `moving`: a shard is to have a replica on the machine;
 * - `removing`: the machine's node is to go;
 * - `removed`: it has gone, and its process is to be told;
 */
type State =
  | { readonly type: 'idle' }
  | { readonly type: 'joining'; readonly machine: SimMachine }
  | { readonly type: 'moving'; readonly machine: SimMachine; readonly wanted: WantedReplicas }
  | { readonly type: 'removing'; readonly machine: SimMachine; readonly askedLeader: SimMachine | undefined }
  | { readonly type: 'removed'; readonly machine: SimMachine; readonly untilMs: number };

export class NodeOperator {
  readonly #cluster: SimCluster;
  readonly #random: Prng;
  /** Whose disk may be lost, if there is one: it counts as empty, and stays a node. */
  readonly #victim: SimMachine | undefined;
  readonly #inServiceMax: number;
  readonly #out = new Set<SimMachine>();
  #state: State = { type: 'idle' };
  #done = (): void => undefined;
  #isOver = false;
  #askedUntilMs = 0;

  constructor(cluster: SimCluster, random: Prng, victim?: SimMachine) {
    this.#cluster = cluster;
    this.#random = random;
    this.#victim = victim;
    this.#inServiceMax = cluster.machines.length + spareMax;
  }

  get isIdle(): boolean {
    return this.#state.type === 'idle';
  }

  /** How far the wish has come. */
  get state(): string {
    return this.#state.type === 'idle' ? 'no node comes or goes' : `${this.#state.machine.name} is ${this.#state.type}`;
  }

  /** Whether the machine's node is a member, and nobody wants it to go. */
  isSettled(machine: SimMachine): boolean {
    const state = this.#state;
    const isWanted = state.type === 'idle' || state.type === 'moving' || state.machine !== machine;
    return isWanted && !this.#out.has(machine) && !machine.isWithdrawn;
  }

  /** Wishes for nothing new any more. */
  stop(): void {
    this.#isOver = true;
  }

  /** A fresh machine joins; then a shard moves to it, perhaps. Undefined while it makes no sense. */
  add(): Fault | undefined {
    const { machines, inService } = this.#cluster;
    if (!this.isIdle || inService.length >= this.#inServiceMax || machines.length >= machinesMax) return undefined;
    return this.#begin({ type: 'joining', machine: this.#cluster.addMachine() });
  }

  /** A node is removed for good; perhaps its machine comes again under its id, with an empty disk. */
  remove(): Fault | undefined {
    const { inService, replicationFactor } = this.#cluster;
    const candidates = inService.filter((machine) => this.#mayGo(machine));
    // A newcomer that loses its disk before it has joined the cluster never comes back.
    const hasRoom = inService.filter((machine) => machine !== this.#victim).length > replicationFactor;
    if (!this.isIdle || !hasRoom || candidates.length === 0) return undefined;
    const machine = this.#random.pick(candidates);
    machine.takeOut();
    return this.#begin({ type: 'removing', machine, askedLeader: this.#leader() });
  }

  /** Fewer than half of those that formed the cluster may have gone, or be empty: see `requireFewEmptyFounders`. */
  #mayGo(machine: SimMachine): boolean {
    if (machine === this.#victim) return false;
    return !this.#isFounder(machine) || 2 * (this.#foundersEmpty + 1) < this.#cluster.founders.length;
  }

  get #foundersEmpty(): number {
    const empty = [...this.#out, ...(this.#victim === undefined ? [] : [this.#victim])];
    return empty.filter((machine) => this.#isFounder(machine)).length;
  }

  #isFounder({ id }: SimMachine): boolean {
    return this.#cluster.founders.some((founder) => founder.id === id);
  }

  #begin(state: State): Fault {
    let isDone = false;
    this.#done = () => {
      isDone = true;
    };
    this.#state = state;
    this.#askedUntilMs = 0;
    if (state.type === 'joining') state.machine.start();
    this.#cluster.scheduler.note(this.state);
    this.#planLook();
    return { lastsMs: wishMs, hadEffect: () => isDone, end: () => undefined };
  }

  #planLook(): void {
    this.#cluster.scheduler.schedule(lookMs, 'an operator looks at the nodes', () => {
      this.#look();
      if (!this.isIdle) this.#planLook();
    });
  }

  #look(): void {
    const state = this.#state;
    switch (state.type) {
      case 'idle':
        return;
      case 'joining':
        // It stops while some have not heard that its former self was removed; by then nobody else may start it again.
        if (state.machine.failure !== undefined) state.machine.start();
        if (this.#isMember(state.machine)) this.#joined(state.machine);
        return;
      case 'moving':
        this.#ask(
          (node) => node.changeReplicas(state.wanted, askMsMax),
          () => this.#moved(),
        );
        return;
      case 'removing':
        this.#ask(
          (node) => node.removeNode(state.machine.id, askMsMax),
          () => this.#gone(state.machine, state.askedLeader),
        );
        return;
      case 'removed':
        this.#lookWhetherTold(state.machine, state.untilMs);
    }
  }

  /** The wish is told to any node that is up, itself too; `done` when it says that it is fulfilled. */
  #ask(wish: (node: Node) => Promise<void>, done: () => void): void {
    const { scheduler, inService } = this.#cluster;
    const up = inService.filter(({ node }) => node !== undefined);
    if (up.length === 0 || scheduler.nowMs < this.#askedUntilMs) return;
    this.#askedUntilMs = scheduler.nowMs + askMsMax;
    const asked = this.#state;
    const { node, process } = this.#random.pick(up);
    process?.enter(() => {
      if (node === undefined) return;
      wish(node).then(
        () => {
          if (this.#state === asked) done();
        },
        // What it was: it is asked for again.
        (error: unknown) => this.#cluster.scheduler.note(`the operator is told: ${String(error)}`),
      );
    });
  }

  // ---- a node comes

  /** As it sees itself. */
  #isMember({ node, id }: SimMachine): boolean {
    const hasReplica = node?.host.shard(placementShardId)?.replica.standing === 'member';
    return hasReplica && node.isReady && node.shardMap().nodes.some((known) => known.id === id);
  }

  #joined(machine: SimMachine): void {
    this.#done();
    if (this.#out.delete(machine)) this.#cluster.coverage.operated('removedNodeCameAgain');
    machine.takeIn();
    const wanted = this.#isOver || !this.#random.chance(useChance) ? undefined : this.#drawMove(machine);
    this.#enter(wanted === undefined ? { type: 'idle' } : { type: 'moving', machine, wanted });
  }

  /** A shard has a replica on this machine, instead of one of those that it has. */
  #drawMove({ node: by, id }: SimMachine): WantedReplicas | undefined {
    const { shard, replicas } = this.#random.pick(by?.shardMap().shards ?? []).descriptor;
    const nodes = replicas.map(({ node }) => node);
    // It has one, or a node that is replaced is to have one again.
    if (nodes.includes(id) || nodes.length !== this.#cluster.replicationFactor) return undefined;
    const stay = this.#random.shuffle(nodes).slice(1);
    return { shard, members: { voters: [...stay, id], learners: [] } };
  }

  #moved(): void {
    this.#cluster.coverage.operated('addedNodeUsed');
    this.#enter({ type: 'idle' });
  }

  // ---- a node goes

  #gone(machine: SimMachine, askedLeader: SimMachine | undefined): void {
    this.#done();
    this.#out.add(machine);
    const { coverage, scheduler } = this.#cluster;
    const leader = this.#leader();
    if (leader !== undefined && askedLeader !== undefined && leader !== askedLeader)
      coverage.operated('removalCarriedOn');
    const untilMs = scheduler.nowMs + (this.#random.chance(isToldChance) ? toldMsMax : 0);
    this.#enter({ type: 'removed', machine, untilMs });
  }

  #lookWhetherTold(machine: SimMachine, untilMs: number): void {
    const { scheduler, failures, coverage } = this.#cluster;
    const isTold = failures.some((failure) => failure.machine === machine && isExplainedByRemoval(failure));
    if (!isTold && scheduler.nowMs < untilMs) return;
    if (isTold) coverage.operated('removedNodeWasTold');
    machine.withdraw();
    if (this.#isOver || !this.#random.chance(returnChance)) {
      this.#enter({ type: 'idle' });
      return;
    }
    machine.putInService(new SimDisk({ random: this.#random.split('disk') }));
    machine.start();
    this.#enter({ type: 'joining', machine });
  }

  #enter(state: State): void {
    this.#state = state;
    this.#askedUntilMs = 0;
    this.#cluster.scheduler.note(this.state);
  }

  /** Of the placement group. */
  #leader(): SimMachine | undefined {
    return this.#cluster.machines.find(({ node }) => node?.host.shard(placementShardId)?.replica.isReadyLeader);
  }

  // ---- in the end

  /** What is wrong with who is a member and where replicas are, when all wishes are fulfilled. */
  check(): string | undefined {
    const { inService, replicationFactor } = this.#cluster;
    const members = inService.map(({ id }) => id).join(', ');
    // It is not replaced where it had not joined.
    const lost = this.#victim;
    const isLost = (id: number): boolean => id === lost?.id && !inService.includes(lost);
    for (const { node, name } of inService) {
      const { nodes, shards } = node?.shardMap() ?? { nodes: [], shards: [] };
      const known = nodes
        .map(({ id }) => id)
        .filter((id) => !isLost(id))
        .sort((a, b) => a - b)
        .join(', ');
      if (known !== members) return `the nodes are ${members}; those that ${name} knows are ${known}`;
      for (const { descriptor } of shards) {
        const on = descriptor.replicas.map((replica) => replica.node);
        const isMember = (id: number): boolean => isLost(id) || inService.some((other) => other.id === id);
        if (on.length !== replicationFactor || !on.every(isMember))
          return `shard ${descriptor.shard} has replicas on nodes ${on.join(', ')}, as ${name} knows it`;
      }
    }
    return undefined;
  }
}

/** Whether a node may stop so: it was removed, or comes again while others have not heard that it may. */
export function isExplainedByRemoval({ isOut, error }: SimFailure): boolean {
  if (!isOut || !(error instanceof QuorateError)) return false;
  return error.code === 'NODE_REMOVED' || error.code === 'NODE_RETIRED' || /lost its disk/.test(error.message);
}
