/**
 * A random walk in large steps: between two of them all that may arrive does, and disks that are not held are synced. So an
 * election or a lease takes a step or two, and what needs several of them in a certain order comes soon, where chaos, which
 * goes message by message, would take very long. Links hold what is sent until they open, or lose it; time goes on for all.
 */
import { assert } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { ReplicaId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { createConfiguration } from '../../src/raft/config.js';
import type { Entry, RaftMessage, Ready } from '../../src/raft/types.js';
import { ChaosChecks } from './chaos-checks.js';
import { ChaosClocks, tickMs } from './chaos-clocks.js';
import { leaseOf } from './chaos-draws.js';
import { ReadChecks } from './chaos-reads.js';
import { type Surroundings, TestReplica } from './replica.js';

const deliveriesMax = 2000;

const timing = {
  electionTicksMin: 10,
  electionTicksMax: 20,
  heartbeatTicks: 2,
  quiesceTicks: 0,
  uncommittedBytesMax: 10_000,
  commitNoticeTicks: 0,
} as const;

/** What a seed draws, but for what a search for something certain wants otherwise. */
export interface WalkPlan {
  readonly steps?: number;
  readonly voters?: number;
  readonly hasLeases?: boolean;
  /** How often, in some thirty steps. */
  readonly campaign?: number;
  readonly holdDisk?: number;
  readonly losePower?: number;
  readonly transfer?: number;
  /** How likely a replica begins with a disk that does not sync. */
  readonly heldChance?: number;
}

interface Link {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  isOpen: boolean;
  inFlight: RaftMessage[];
}

/** What happened, so that a test can tell whether the walk came anywhere. */
const noCounts = { leaders: 0, committed: 0, answeredReads: 0, leases: 0, transfers: 0, powerLosses: 0 };
export type WalkCounts = typeof noCounts;

export class Walk implements Surroundings {
  readonly counts: WalkCounts = { ...noCounts };
  readonly #random: Prng;
  readonly #clocks: ChaosClocks;
  readonly #replicas: readonly TestReplica[];
  readonly #links: readonly Link[];
  readonly #checks: ChaosChecks;
  readonly #reads = new ReadChecks();
  readonly #steps: readonly (() => void)[];
  #proposals = 0;

  constructor(seed: number, plan: WalkPlan = {}) {
    this.#random = new Prng(seed);
    this.#clocks = new ChaosClocks(this.#random.split('clocks'));
    const hasLeases = plan.hasLeases ?? this.#random.chance(0.5);
    const voters = Array.from({ length: plan.voters ?? this.#random.pick([3, 3, 5]) }, (_, i) => ReplicaId(i + 1));
    const configuration = createConfiguration({ voters });
    const appendBytesMax = this.#random.pick([0, 1000]);
    const appendsInFlightMax = this.#random.pick([1, 8]);
    this.#replicas = voters.map((id) => {
      const clock = this.#clocks.add(id);
      const lease = hasLeases ? leaseOf(timing, clock) : undefined;
      const settings = { ...timing, appendBytesMax, appendsInFlightMax };
      return new TestReplica(id, { ...settings, lease, configuration }, this.#random.split(`replica ${id}`), this);
    });
    this.#links = voters.flatMap((from) => voters.map((to) => ({ from, to, isOpen: true, inFlight: [] })));
    this.#checks = new ChaosChecks(this.#replicas, configuration);
    this.#steps = this.#drawSteps(plan);
    const heldChance = plan.heldChance ?? this.#random.pick([0, 0, 0.5]);
    for (const replica of this.#replicas) replica.syncsHeld = this.#random.chance(heldChance);
  }

  /** Of the rarer ones more or less from seed to seed. */
  #drawSteps({ campaign, holdDisk, losePower, transfer }: WalkPlan): (() => void)[] {
    const times = (count: number, step: () => void): (() => void)[] => Array.from({ length: count }, () => step);
    const some = (): number => this.#random.pick([0, 1, 2, 4]);
    return [
      ...times(8, () => this.#elapse()),
      ...times(6, () => this.#open()),
      ...times(4, () => this.#toggle()),
      ...times(4, () => this.#request()),
      ...times(campaign ?? some(), () => this.#campaign()),
      ...times(holdDisk ?? some(), () => this.#holdDisk()),
      ...times(losePower ?? some(), () => this.#losePower()),
      ...times(transfer ?? some(), () => this.#transfer()),
    ];
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.#random.pick(this.#steps)();
      this.#settle();
    }
    this.#checks.logMatching();
    this.counts.leaders = this.#checks.leaders;
    this.counts.committed = this.#checks.committedIndex;
  }

  // Steps

  #elapse(): void {
    for (let ticks = this.#random.int(1, timing.electionTicksMin); ticks > 0; ticks--) {
      for (const id of this.#clocks.elapse(tickMs * 0.9)) this.#on(this.#replicas[id - 1], ({ raft }) => raft.tick());
      this.#settle();
    }
  }

  /** All links, or all but those to or from one replica, or any. What waits stays, or is lost. */
  #open(): void {
    const alone = this.#random.chance(0.6) ? this.#someone() : undefined;
    const direction = this.#random.pick(['out', 'in', 'both', 'both']);
    const openChance = this.#random.pick([0.5, 1, 1, 1]);
    const loses = this.#random.chance(0.3);
    for (const link of this.#links) {
      const isOut = link.from === alone?.id && direction !== 'in';
      const isIn = link.to === alone?.id && direction !== 'out';
      link.isOpen = !isOut && !isIn && this.#random.chance(openChance);
      if (loses) link.inFlight = [];
    }
  }

  /** More often than not one that leads. */
  #someone(): TestReplica {
    const leaders = this.#leaders;
    return this.#random.pick(leaders.length > 0 && this.#random.chance(0.7) ? leaders : this.#replicas);
  }

  #toggle(): void {
    const link = this.#random.pick(this.#links);
    link.isOpen = !link.isOpen;
  }

  get #leaders(): TestReplica[] {
    return this.#replicas.filter(({ raft }) => raft.role === 'leader');
  }

  /** Of whoever takes himself for the leader. */
  #request(): void {
    for (const replica of this.#leaders) {
      if (this.#random.chance(0.5)) this.#read(replica);
      else this.#on(replica, ({ raft }) => raft.propose(utf8(`p${++this.#proposals}`)));
    }
  }

  #read(replica: TestReplica): void {
    const read = replica.raft.requestRead();
    if (read.type === 'accepted') this.#reads.requested(replica, read.round, this.#checks.committedIndex);
    this.#after(replica);
  }

  #campaign(): void {
    this.#on(this.#random.pick(this.#replicas), ({ raft }) => raft.campaign());
  }

  #transfer(): void {
    for (const replica of this.#leaders) {
      const to = this.#random.pick(this.#replicas).id;
      this.#on(replica, ({ raft }) => {
        if (raft.transferLeadership(to)) this.counts.transfers++;
      });
    }
  }

  /** From now on it does not sync, or it does again. */
  #holdDisk(): void {
    const replica = this.#random.pick(this.#replicas);
    replica.syncsHeld = !replica.syncsHeld;
    if (!replica.syncsHeld) while (replica.syncNext());
    this.#after(replica);
  }

  #losePower(): void {
    const replica = this.#random.pick(this.#replicas);
    this.counts.powerLosses++;
    replica.syncsHeld = false;
    replica.restart(this.#random.int(0, replica.writes.length));
    this.#reads.restarted(replica);
    this.#checks.restarted(replica);
    this.#after(replica);
  }

  // Between steps

  #settle(): void {
    for (let delivered = 0; ; delivered++) {
      assert(delivered < deliveriesMax, 'messages go on for ever');
      const ready = this.#links.filter(({ isOpen, inFlight }) => isOpen && inFlight.length > 0);
      if (ready.length === 0) return;
      const message = this.#random.pick(ready).inFlight.shift();
      if (message !== undefined) this.#on(this.#replicas[message.to - 1], ({ raft }) => raft.step(message));
    }
  }

  #on(replica: TestReplica, act: (replica: TestReplica) => void): void {
    act(replica);
    this.#after(replica);
  }

  #after(replica: TestReplica): void {
    replica.run();
    this.#checks.step(replica);
    if (replica.raft.holdsLease) this.counts.leases++;
    this.#checks.leases();
  }

  // Surroundings

  send(message: RaftMessage): void {
    const link = this.#links.find(({ from, to }) => from === message.from && to === message.to);
    link?.inFlight.push(message);
  }

  onReady(replica: TestReplica, ready: Ready): void {
    if (ready.softState?.role === 'leader') this.#checks.leads(replica, ready.softState.term);
    this.counts.answeredReads += this.#reads.ready(replica, ready).answered;
  }

  onSynced(): void {
    // Seen by the checks, in what is durable.
  }

  onSnapshotWanted(): void {
    assert(false, 'a snapshot is wanted, though no entry was dropped');
  }

  onApplied(replica: TestReplica, entry: Entry): void {
    this.#checks.applied(replica, entry);
  }
}
