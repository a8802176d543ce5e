/**
 * Faults while clients work: drawn from the seed, one at a time or several on top of each other, each ended after a
 * while. At the end `healQuorum` ends all but those of a minority, and `heal` all. A majority may be down for a while; what is lost then is only time. A disk is lost
 * or damaged on one machine only, which is a minority of the replicas of every shard; its node is replaced, at once or in the end.
 */
import type { Prng } from '../base/prng.js';
import { DiskError } from '../env/disk.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';
import { DiskOperator } from './disk-operator.js';
import { beginFault, faultTypes, isLossOfDisk, nodeFaults } from './fault-types.js';
import { NodeOperator } from './node-operator.js';
import type { FaultType } from './fault-types.js';
import type { Fault } from './fault.js';
import { breakMinority, drawLine, drawMinority, killMinority } from './minority.js';
import type { HealedQuorum } from './quorum-progress.js';
import type { FaultPlan } from './swarm.js';

/** A process that a failing disk has ended is started again after this, as a service manager does. */
const restartMs = 1000;
/** Longer than any operation of a slow disk takes. */
const lateDiskErrorsMs = 10_000;
const approachMs = 50;
/** When a quorum is healed, instead of a minority. */
const lineChance = 0.4;

export class Faults {
  /** How often each really happened. */
  readonly counts: Record<FaultType, number>;
  readonly #cluster: SimCluster;
  readonly #plan: FaultPlan;
  readonly #random: Prng;
  readonly #operators: Prng;
  readonly #onApproach: () => void;
  /** The machine whose disk is lost or damaged, if one is to be. */
  readonly #victim: SimMachine | undefined;
  /** Replaces the victim. */
  #operator: DiskOperator | undefined;
  /** Adds nodes, and removes them. */
  readonly nodeOperator: NodeOperator;
  readonly #underWay = new Set<() => void>();
  #stopped = false;
  #healedMs = Infinity;

  /** @param onApproach is called shortly before each fault */
  constructor(cluster: SimCluster, plan: FaultPlan, onApproach: () => void = () => undefined) {
    this.#cluster = cluster;
    this.#onApproach = onApproach;
    this.#plan = plan;
    this.#random = cluster.random.split('faults');
    this.#operators = cluster.random.split('operators');
    if (plan.types.some(isLossOfDisk)) this.#victim = cluster.random.split('victim').pick(cluster.machines);
    this.nodeOperator = new NodeOperator(cluster, cluster.random.split('nodes'), this.#victim);
    this.counts = Object.fromEntries(faultTypes.map((type) => [type, 0])) as Record<FaultType, number>;
  }

  start(): void {
    this.#planNext();
    this.#restartStopped();
  }

  /** Of the machine whose disk was lost or damaged, if one was. */
  get operator(): DiskOperator | undefined {
    return this.#operator;
  }

  /** As `heal`, but for a minority, which stays broken until then. */
  healQuorum(): HealedQuorum {
    const { machines } = this.#cluster;
    const random = this.#cluster.random.split('minority');
    const wasAble = machines.filter((machine) => !machine.isWithdrawn && !this.#isReplaced(machine));
    const couldDo = (machine: SimMachine): boolean => wasAble.includes(machine);
    const line = this.#cutsLine ? drawLine(this.#cluster, couldDo, random) : [];
    const minority = line.length > 0 ? new Map() : drawMinority(this.#cluster, couldDo, random);
    killMinority(minority, random);
    this.#endAll();
    this.#underWay.add(breakMinority(this.#cluster, minority, random));
    if (line.length > 0) {
      this.#cluster.coverage.operated('cutLine');
      this.#cluster.network.partition(line.map(({ name }) => [name]));
    }
    const isAble = (machine: SimMachine): boolean =>
      !machine.isWithdrawn && !this.#isReplaced(machine) && !minority.has(machine);
    const through = machines.filter((machine) => isAble(machine) && this.nodeOperator.isSettled(machine));
    return { minority, line, isAble, through };
  }

  /** Ends all faults, for good; dead nodes start again, but for one whose disk cannot be trusted any more: it is replaced. */
  heal(): void {
    this.#healedMs = this.#cluster.scheduler.nowMs;
    this.#endAll();
  }

  #endAll(): void {
    this.#stopped = true;
    this.nodeOperator.stop();
    for (const end of this.#underWay) end();
    const { network, machines } = this.#cluster;
    network.heal();
    for (const machine of machines) {
      if (machine.isSuspect) this.#replace(machine);
      machine.process?.resume();
      machine.start();
    }
  }

  /** In some runs, of those in which no operator may leave a group with two voters meanwhile. */
  get #cutsLine(): boolean {
    const movers: readonly FaultType[] = ['changeMembers', ...nodeFaults];
    const moves = this.#plan.types.some((type) => movers.includes(type));
    return !moves && this.#victim === undefined && this.#cluster.random.split('line').chance(lineChance);
  }

  #planNext(): void {
    const { scheduler } = this.#cluster;
    const delayMs = this.#random.float() * this.#plan.gapMsMax;
    scheduler.schedule(Math.max(0, delayMs - approachMs), 'a fault approaches', () => {
      if (!this.#stopped) this.#onApproach();
    });
    scheduler.schedule(delayMs, 'next fault', () => {
      if (this.#stopped) return;
      if (this.#plan.types.length > 0) this.#inject(this.#random.pick(this.#plan.types));
      this.#planNext();
    });
  }

  /** After the last fault only where its disk stopped a node: what a slow disk had begun when it failed may end, and fail, much later. */
  #restartStopped(): void {
    const { scheduler, machines } = this.#cluster;
    scheduler.schedule(restartMs, 'service managers look', () => {
      for (const machine of machines) {
        const { failure } = machine;
        if (failure !== undefined && (!this.#stopped || failure instanceof DiskError)) machine.start();
      }
      if (scheduler.nowMs < this.#healedMs + lateDiskErrorsMs) this.#restartStopped();
    });
  }

  #inject(type: FaultType): void {
    const drawn = this.#random.pick(this.#cluster.machines);
    const victim = this.#victim;
    const machine = victim !== undefined && isLossOfDisk(type) ? victim : drawn;
    if (isLossOfDisk(type) && this.#isReplacing) return;
    const { nodeOperator } = this;
    const fault = beginFault(type, { cluster: this.#cluster, machine, victim, nodeOperator, random: this.#random });
    if (fault === undefined) return;
    if (fault.hadEffect === undefined) this.counts[type]++;
    this.#cluster.scheduler.note(`fault ${type} on ${machine.name}`);
    const end = (): void => this.#end(type, fault, end);
    this.#underWay.add(end);
    const lastsMs = fault.lastsMs ?? this.#random.float() * this.#plan.lastsMsMax;
    this.#cluster.scheduler.schedule(lastsMs, `end of ${type} on ${machine.name}`, end);
  }

  #end(type: FaultType, fault: Fault, end: () => void): void {
    if (!this.#underWay.delete(end)) return;
    if (fault.hadEffect?.() === true) this.counts[type]++;
    fault.end();
    const victim = this.#victim;
    if (victim?.isSuspect === true && isLossOfDisk(type) && this.#operators.chance(0.5)) this.#replace(victim);
  }

  #replace(machine: SimMachine): void {
    if (this.#isReplacing) return;
    this.#operator = new DiskOperator(this.#cluster, machine, this.#operators.split('operator'));
  }

  /** Its replicas are, or were, not what others take them for: they do not count for a while. */
  #isReplaced(machine: SimMachine): boolean {
    return machine.isSuspect || machine.repairs > 0 || (machine === this.#victim && this.#operator !== undefined);
  }

  get #isReplacing(): boolean {
    return this.#operator !== undefined && !this.#operator.isOver;
  }
}
