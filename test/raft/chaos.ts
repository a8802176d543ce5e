/**
 * A group of replicas on a network that loses, repeats and reorders, with disks that sync late and lose power, whose
 * members change, are sent snapshots, fall quiet and hand over: all from one seed, checked at every step.
 */
import { assert, defined } from '../../src/base/assert.js';
import { equalBytes, utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { type Configuration, createConfiguration, isJoint, membersOf } from '../../src/raft/config.js';
import { leftJoint } from '../../src/raft/config-change.js';
import { droppableIndex } from '../../src/raft/log-truncation.js';
import { messageFault } from '../../src/raft/message-fault.js';
import type { Entry, RaftMessage, Ready } from '../../src/raft/types.js';
import { ChaosChecks } from './chaos-checks.js';
import { ChaosClocks, tickMs } from './chaos-clocks.js';
import {
  type ChaosCounts,
  drawConfiguration,
  type DrawnSettings,
  drawSettings,
  leaseOf,
  noCounts,
} from './chaos-draws.js';
import { ReadChecks } from './chaos-reads.js';
import { decodeConfiguration } from './configuration-text.js';
import { type Surroundings, TestReplica } from './replica.js';

const messagesInFlightMax = 200;

interface Action {
  readonly weight: number;
  readonly act: (replica: TestReplica) => void;
}

export class Chaos implements Surroundings {
  readonly counts: ChaosCounts = { ...noCounts };
  readonly #random: Prng;
  readonly #settings: DrawnSettings;
  /** With leases only: otherwise each replica has a time of its own. */
  readonly #clocks: ChaosClocks | undefined;
  /** The first voters, and some that know of nobody yet. */
  readonly #replicas: TestReplica[];
  readonly #checks: ChaosChecks;
  readonly #actions: readonly Action[];
  readonly #weightSum: number;
  #inFlight: RaftMessage[] = [];
  readonly #cut = new Set<string>();
  readonly #reads = new ReadChecks();
  /** Who is to send a snapshot to whom. */
  #snapshotsWanted: { readonly from: TestReplica; readonly to: ReplicaId }[] = [];
  #proposals = 0;
  #healed = false;

  constructor(seed: number, size: number) {
    this.#random = new Prng(seed);
    const voters = Array.from({ length: size }, (_, i) => ReplicaId(i + 1));
    const configuration = createConfiguration({ voters });
    const clocks = this.#random.chance(0.3) ? new ChaosClocks(this.#random.split('clocks')) : undefined;
    this.#clocks = clocks;
    this.#settings = drawSettings(this.#random, { hasLeases: clocks !== undefined });
    const create = (id: ReplicaId, known: Configuration): TestReplica => {
      const lease = clocks && leaseOf(this.#settings, clocks.add(id));
      const settings = { ...this.#settings, lease, configuration: known };
      return new TestReplica(id, settings, this.#random.split(`replica ${id}`), this);
    };
    const spares = [1, 2].map((i) => ReplicaId(size + i));
    this.#replicas = [
      ...voters.map((id) => create(id, configuration)),
      ...spares.map((id) => create(id, createConfiguration({}))),
    ];
    this.#checks = new ChaosChecks(this.#replicas, configuration);
    for (const replica of this.#replicas) replica.syncsHeld = true;
    this.#actions = this.#drawActions();
    this.#weightSum = this.#actions.reduce((sum, { weight }) => sum + weight, 0);
  }

  // Faults

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.#step();
      if (i % 50 === 0) this.#checks.logMatching();
    }
  }

  #step(): void {
    const replica = this.#random.pick(this.#replicas.filter(({ raft }) => raft.term > 0 || this.#checks.leaders === 0));
    let dice = this.#random.float() * this.#weightSum;
    for (const { weight, act } of this.#actions) {
      dice -= weight;
      if (dice >= 0) continue;
      act(replica);
      break;
    }
    this.#after(replica);
    this.#checks.leases();
  }

  /** What happens how often; of the rarer things more or less, or nothing, from seed to seed. */
  #drawActions(): Action[] {
    const action = (weight: number, act: Action['act']): Action => ({ weight, act });
    const rare = (weight: number, act: Action['act']): Action => action(weight * this.#random.pick([0, 1, 1, 4]), act);
    return [
      action(40, () => this.#deliverOne()),
      action(15, (replica) => replica.syncNext()),
      action(25, (replica) => this.#tickSome(replica)),
      action(9, () => this.#request()),
      action(2, (replica) => this.#answerLogReads(replica)),
      action(2, (replica) => this.#snapshots(replica)),
      rare(1, (replica) => this.#maintain(replica)),
      rare(0.5, () => this.#repartition()),
      rare(0.5, () => this.#strandLeader()),
      rare(0.3, () => this.#passTime()),
      rare(0.5, ({ raft }) => raft.campaign()),
      rare(0.3, ({ raft }) => raft.peerUnreachable(this.#random.pick(this.#replicas).id)),
      rare(0.3, ({ raft }) => raft.peerReachable(this.#random.pick(this.#replicas).id)),
      rare(0.3, ({ raft }) => raft.setElectionPriority(this.#random.pick(['low', 'normal']))),
      rare(0.8, () => this.#change()),
      rare(0.3, () => this.#transfer()),
      rare(0.5, (replica) => this.#losePower(replica)),
    ];
  }

  /** A tick of the replica, or a moment for all. */
  #tickSome(replica: TestReplica): void {
    if (this.#clocks === undefined) this.#tick(replica);
    else this.#elapse(this.#clocks, (this.#random.float() * tickMs * 2) / this.#replicas.length);
  }

  /** A tick for all, as far as their clocks agree. */
  #tickAll(): void {
    if (this.#clocks !== undefined) this.#elapse(this.#clocks, tickMs);
    else for (const replica of this.#replicas) this.#tick(replica);
  }

  #elapse(clocks: ChaosClocks, ms: number): void {
    for (const id of clocks.elapse(ms)) this.#tick(this.#replicas[id - 1]);
  }

  #tick(replica: TestReplica): void {
    if (replica.raft.isQuiet) this.counts.quiet++;
    replica.raft.tick();
    this.#after(replica);
  }

  #deliverOne(): void {
    if (this.#inFlight.length === 0) return;
    // Mostly in order, sometimes not.
    const at = this.#random.chance(0.7) ? 0 : this.#random.int(0, this.#inFlight.length - 1);
    const message = this.#random.chance(0.05) ? this.#inFlight[at] : this.#inFlight.splice(at, 1)[0];
    if (this.#random.chance(0.05)) this.counts.lostMessages++;
    else this.#deliver(message);
  }

  #deliver(message: RaftMessage): void {
    const receiver = this.#replicas[message.to - 1];
    const fault = messageFault(message, receiver.raft);
    assert(fault === undefined, `refused, though it was sent in order: ${fault}`);
    receiver.raft.step(message);
    this.#after(receiver);
  }

  get #leaders(): TestReplica[] {
    return this.#replicas.filter(({ raft }) => raft.role === 'leader');
  }

  /** Asks whoever leads, as far as anyone can tell: two may think so. */
  #request(): void {
    for (const replica of this.#leaders) {
      const dice = this.#random.float();
      if (dice < 0.6) {
        for (let i = this.#random.int(1, 4); i > 0; i--) replica.raft.propose(utf8(`p${++this.#proposals}`));
      } else {
        this.#read(replica);
      }
      this.#after(replica);
    }
  }

  #transfer(): void {
    for (const replica of this.#leaders) {
      if (replica.raft.transferLeadership(this.#random.pick(this.#replicas).id)) this.counts.transfers++;
      this.#after(replica);
    }
  }

  #read(replica: TestReplica): void {
    const leased = replica.raft.leaseRead();
    if (leased !== undefined) this.counts.leaseReads++;
    const read = replica.raft.requestRead();
    if (read.type !== 'accepted') return;
    this.#reads.requested(replica, read.round, this.#checks.committedIndex);
  }

  /** Whoever leads is asked for the next step on the way to some other members, or out of a joint configuration. */
  #change(): void {
    for (const replica of this.#leaders) {
      const current = replica.raft.configuration;
      replica.change(isJoint(current) ? leftJoint(current) : drawConfiguration(current, this.#replicas, this.#random));
      this.#after(replica);
    }
  }

  #answerLogReads(replica: TestReplica): void {
    this.counts.logReads += replica.logReads.length;
    replica.answerLogReads();
  }

  /** The state machine saves, memory is freed, and what may leave the log does. */
  #maintain(replica: TestReplica): void {
    replica.flush();
    replica.log.memoryFrom = LogIndex(this.#random.int(replica.log.firstIndex, replica.log.lastIndex + 1));
    if (replica.installing !== undefined || this.#random.chance(0.5)) return;
    const away = this.#random.pick([0, 5, 1000]);
    const droppable = droppableIndex(replica.raft.status(), { away, catchingUp: 2 * away });
    replica.dropLogTo(LogIndex(Math.min(droppable, replica.durable.appliedIndex)));
  }

  /** Snapshots begin, end one way or the other, and are put in place. */
  #snapshots(replica: TestReplica): void {
    const [wanted] = this.#snapshotsWanted.splice(0, 1);
    if (wanted !== undefined && wanted.from.appliedIndex > 0) {
      const { from, to } = wanted;
      const message = from.raft.beginSnapshot(to, from.snapshot);
      if (message !== undefined) this.send(message);
      from.raft.snapshotEnded(to, this.#random.pick(['delivered', 'failed']));
      this.#after(from);
    }
    if (replica.install()) this.counts.installs++;
  }

  #repartition(): void {
    this.#cut.clear();
    if (this.#random.chance(0.5)) return;
    // Any set of links, one way each: full, partial and one-way partitions.
    const density = this.#random.float();
    for (const a of this.#replicas) {
      for (const b of this.#replicas) if (this.#random.chance(density)) this.#cut.add(`${a.id}>${b.id}`);
    }
  }

  /** A leader cannot send, or not hear, or neither; and the others are told, or wait. */
  #strandLeader(): void {
    if (this.#leaders.length === 0) return;
    const leader = this.#random.pick(this.#leaders);
    const direction = this.#random.pick(['out', 'in', 'both']);
    const isKnown = this.#random.chance(0.7);
    this.#cut.clear();
    for (const other of this.#replicas) {
      if (direction !== 'in') this.#cut.add(`${leader.id}>${other.id}`);
      if (direction !== 'out') this.#cut.add(`${other.id}>${leader.id}`);
      if (!isKnown || other === leader) continue;
      other.raft.peerUnreachable(leader.id);
      this.#after(other);
    }
  }

  /** Nothing arrives for a while. */
  #passTime(): void {
    for (let ticks = this.#random.int(1, this.#settings.electionTicksMin); ticks > 0; ticks--) {
      this.#tickAll();
    }
  }

  #losePower(replica: TestReplica): void {
    this.counts.powerLosses++;
    replica.restart(this.#random.int(0, replica.writes.length));
    this.#reads.restarted(replica);
    this.#checks.restarted(replica);
  }

  #after(replica: TestReplica): void {
    replica.run();
    this.#checks.step(replica);
  }

  // Recovery

  /** The network heals and disks sync; within a few election timeouts all members must agree, and serve. */
  heal(): void {
    this.#healed = true;
    this.#cut.clear();
    for (const replica of this.#replicas) {
      replica.syncsHeld = false;
      for (const { id } of this.#replicas) replica.raft.peerReachable(id);
      while (replica.syncNext()) replica.run();
      if (replica.install()) this.counts.installs++;
      this.#after(replica);
    }
    this.#tickUntil(
      'one leads, the way into no configuration stays half done, and all have applied what was proposed last',
      () => {
        const leader = this.#undisputedLeader();
        if (leader === undefined) return false;
        const { configuration, lastIndex, term } = leader.raft;
        if (isJoint(configuration)) {
          if (!configuration.autoLeave) leader.change(leftJoint(configuration));
          return false;
        }
        const last = leader.log.at(lastIndex);
        if (last?.term === term && equalBytes(last.data, utf8('last'))) {
          return this.#members(leader).every(({ appliedIndex }) => appliedIndex === lastIndex);
        }
        leader.raft.propose(utf8('last'));
        return false;
      },
    );
    const leader = defined(this.#undisputedLeader(), 'the leader');
    const read = leader.raft.requestRead();
    assert(read.type === 'accepted', 'the leader of a healed group refuses a read');
    this.#reads.restarted(leader);
    this.#reads.requested(leader, read.round, this.#checks.committedIndex);
    this.#after(leader);
    this.#tickUntil('the read is answered', () => this.#reads.pending(leader) === 0);
    if (this.#settings.quiesceTicks > 0) this.#losesItsQuietLeader();
    this.#checks.logMatching();
    this.counts.leaders = this.#checks.leaders;
    this.counts.committed = this.#checks.committedIndex;
    this.counts.changes = this.#checks.changes;
  }

  /** When the group is quiet its leader dies, which the others do not notice until their hosts tell them. */
  #losesItsQuietLeader(): void {
    this.#tickUntil('the group is quiet', () => {
      const leader = this.#undisputedLeader();
      return leader !== undefined && this.#members(leader).every(({ raft }) => raft.isQuiet);
    });
    const leader = defined(this.#undisputedLeader(), 'the leader');
    if (leader.raft.configuration.voters.length < 3) return;
    for (const { id } of this.#replicas) this.#cut.add(`${leader.id}>${id}`).add(`${id}>${leader.id}`);
    for (const { raft } of this.#replicas) raft.peerUnreachable(leader.id);
    this.#tickUntil('another replica leads', () => this.#leaders.some(({ raft }) => raft.term > leader.raft.term));
  }

  #members(leader: TestReplica): TestReplica[] {
    return membersOf(leader.raft.configuration).map((id) => this.#replicas[id - 1]);
  }

  /** The leader of the newest term, if all its members follow it and nothing is under way. */
  #undisputedLeader(): TestReplica | undefined {
    const leader = this.#leaders.sort((a, b) => b.raft.term - a.raft.term).at(0);
    if (leader === undefined || leader.raft.status().transferTarget !== 0) return undefined;
    return this.#members(leader).every(({ raft }) => raft.leader === leader.id) ? leader : undefined;
  }

  #tickUntil(what: string, holds: () => boolean): void {
    // Some elections, and with the smallest window two ticks for every entry that a follower lacks, then whom one of these has join.
    const entriesMax = Math.max(...this.#replicas.map(({ raft }) => raft.lastIndex));
    const ticksMax = 10 * this.#settings.electionTicksMax + 5 * entriesMax;
    for (let ticks = 0; !holds(); ticks++) {
      assert(ticks < ticksMax, `after ${ticks} ticks without faults it is not so that ${what}`);
      this.#tickAll();
      for (const replica of this.#replicas) {
        this.#answerLogReads(replica);
        this.#snapshots(replica);
        this.#after(replica);
      }
      for (const message of this.#inFlight.splice(0)) this.#deliver(message);
    }
  }

  // Surroundings

  send(message: RaftMessage): void {
    if (this.#cut.has(`${message.from}>${message.to}`)) this.counts.lostMessages++;
    else this.#inFlight.push(message);
    if (!this.#healed && this.#inFlight.length > messagesInFlightMax) this.#inFlight.shift();
  }

  onReady(replica: TestReplica, ready: Ready): void {
    if (ready.softState?.role === 'leader') this.#checks.leads(replica, ready.softState.term);
    const [first] = ready.entries;
    if (first !== undefined && first.index <= replica.log.lastIndex) this.#countReplaced(replica, first.index);
    const { answered, lost } = this.#reads.ready(replica, ready);
    this.counts.answeredReads += answered;
    this.counts.lostReads += lost;
  }

  #countReplaced(replica: TestReplica, from: LogIndex): void {
    this.counts.replacedEntries++;
    for (let i: number = from; i <= replica.log.lastIndex; i++) {
      const data = replica.log.at(LogIndex(i))?.data;
      if (data !== undefined && decodeConfiguration(data) !== undefined) this.counts.replacedChanges++;
    }
  }

  onSynced(): void {
    // Seen by the checks, in what is durable.
  }

  onSnapshotWanted(from: TestReplica, to: ReplicaId): void {
    this.#snapshotsWanted.push({ from, to });
  }

  onApplied(replica: TestReplica, entry: Entry): void {
    this.#checks.applied(replica, entry);
    const configuration = decodeConfiguration(entry.data);
    if (configuration !== undefined && isJoint(configuration)) this.counts.jointConfigurations++;
  }
}
