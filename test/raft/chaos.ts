/**
 * A group of replicas on a network that loses, repeats and reorders, with disks that sync late and lose power: all
 * from one seed. Every step is checked against what Raft promises (figure 3 of the paper) and what Quorate adds.
 */
import { assert, defined } from '../../src/base/assert.js';
import { equalBytes, utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId, type Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { createConfiguration } from '../../src/raft/config.js';
import { messageFault } from '../../src/raft/message-fault.js';
import type { Entry, RaftMessage, Ready } from '../../src/raft/types.js';
import { type ReplicaSettings, type Surroundings, TestReplica } from './replica.js';

const electionTicksMax = 20;
const messagesInFlightMax = 200;

/** What happened, so that a test can tell whether its faults had an effect. */
export interface ChaosCounts {
  leaders: number;
  committed: number;
  replacedEntries: number;
  answeredReads: number;
  lostReads: number;
  powerLosses: number;
  logReads: number;
  transfers: number;
  lostMessages: number;
}

interface PendingRead {
  readonly round: number;
  /** All that was committed anywhere when the read arrived. */
  readonly indexMin: LogIndex;
}

export class Chaos implements Surroundings {
  readonly counts: ChaosCounts = {
    leaders: 0,
    committed: 0,
    replacedEntries: 0,
    answeredReads: 0,
    lostReads: 0,
    powerLosses: 0,
    logReads: 0,
    transfers: 0,
    lostMessages: 0,
  };
  readonly #random: Prng;
  readonly #replicas: TestReplica[];
  #inFlight: RaftMessage[] = [];
  readonly #cut = new Set<string>();
  readonly #leaders = new Map<Term, ReplicaId>();
  /** Every entry that any replica held for committed, from index 1. */
  readonly #committed: Entry[] = [];
  /** How far each replica's commit index was compared with the above. */
  readonly #comparedTo = new Map<TestReplica, number>();
  readonly #pendingReads = new Map<TestReplica, PendingRead[]>();
  #proposals = 0;
  #healed = false;

  constructor(seed: number, size: number) {
    this.#random = new Prng(seed);
    const voters = Array.from({ length: size }, (_, i) => ReplicaId(i + 1));
    const settings: ReplicaSettings = {
      configuration: createConfiguration({ voters }),
      electionTicksMin: 10,
      electionTicksMax,
      heartbeatTicks: 2,
      appendBytesMax: this.#random.pick([0, 20, 1000]),
      appendsInFlightMax: this.#random.pick([1, 2, 8]),
      quiesceTicks: this.#random.pick([0, 3, 30]),
      lease: undefined,
      uncommittedBytesMax: this.#random.pick([200, 10_000]),
    };
    this.#replicas = voters.map((id) => new TestReplica(id, settings, this.#random.split(`replica ${id}`), this));
    for (const replica of this.#replicas) replica.syncsHeld = true;
  }

  // Faults

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.#step();
      if (i % 50 === 0) this.#checkLogMatching();
    }
  }

  #step(): void {
    const replica = this.#random.pick(this.#replicas);
    const { raft } = replica;
    const dice = this.#random.float();
    if (dice < 0.4) this.#deliverOne();
    else if (dice < 0.56) replica.syncNext();
    else if (dice < 0.81) raft.tick();
    else if (dice < 0.92) this.#request();
    else if (dice < 0.94) this.#answerLogReads(replica);
    else if (dice < 0.95) this.#maintain(replica);
    else if (dice < 0.965) this.#repartition();
    else if (dice < 0.975) raft.campaign();
    else if (dice < 0.985) raft.peerUnreachable(this.#random.pick(this.#replicas).id);
    else this.#losePower(replica);
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

  /** Asks whoever leads, as far as anyone can tell: two may think so. */
  #request(): void {
    for (const replica of this.#replicas) {
      if (replica.raft.role !== 'leader') continue;
      const dice = this.#random.float();
      if (dice < 0.6) {
        for (let i = this.#random.int(1, 4); i > 0; i--) replica.raft.propose(utf8(`p${++this.#proposals}`));
      } else if (dice < 0.98) {
        const read = replica.raft.requestRead();
        if (read.type === 'accepted') {
          const pending = this.#pendingReads.get(replica) ?? [];
          pending.push({ round: read.round, indexMin: LogIndex(this.#committed.length) });
          this.#pendingReads.set(replica, pending);
        }
      } else if (replica.raft.transferLeadership(this.#random.pick(this.#replicas).id)) {
        this.counts.transfers++;
      }
      this.#after(replica);
    }
  }

  #answerLogReads(replica: TestReplica): void {
    this.counts.logReads += replica.logReads.length;
    replica.answerLogReads();
  }

  /** The state machine saves, memory is freed, and what every state machine has saved leaves the log. */
  #maintain(replica: TestReplica): void {
    replica.flush();
    const { firstIndex, lastIndex } = replica.log;
    replica.log.memoryFrom = LogIndex(this.#random.int(firstIndex, lastIndex + 1));
    const savedByAll = Math.min(...this.#replicas.map(({ durable }) => durable.appliedIndex));
    if (this.#random.chance(0.3)) replica.dropLogTo(LogIndex(savedByAll));
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

  #losePower(replica: TestReplica): void {
    this.counts.powerLosses++;
    replica.restart(this.#random.int(0, replica.writes.length));
    this.#pendingReads.delete(replica);
    this.#comparedTo.delete(replica);
  }

  #after(replica: TestReplica): void {
    replica.run();
    this.#checkCommitted(replica);
  }

  // Recovery

  /** The network heals and disks sync; within a few election timeouts all must agree, and serve. */
  heal(): void {
    this.#healed = true;
    this.#cut.clear();
    for (const replica of this.#replicas) {
      replica.syncsHeld = false;
      while (replica.syncNext()) replica.run();
      this.#after(replica);
    }
    this.#tickUntil('one leads, and all have applied what it proposed', () => {
      const leader = this.#undisputedLeader();
      if (leader === undefined) return false;
      const { lastIndex, term } = leader.raft;
      const last = leader.log.at(lastIndex);
      if (last?.term === term && equalBytes(last.data, utf8('last'))) {
        return this.#replicas.every(({ appliedIndex }) => appliedIndex === lastIndex);
      }
      leader.raft.propose(utf8('last'));
      return false;
    });
    const leader = defined(this.#undisputedLeader(), 'the leader');
    const read = leader.raft.requestRead();
    assert(read.type === 'accepted', 'the leader of a healed group refuses a read');
    this.#pendingReads.set(leader, [{ round: read.round, indexMin: LogIndex(this.#committed.length) }]);
    this.#after(leader);
    this.#tickUntil('the read is answered', () => this.#pendingReads.get(leader)?.length === 0);
    this.#checkLogMatching();
  }

  #undisputedLeader(): TestReplica | undefined {
    const leaders = this.#replicas.filter(({ raft }) => raft.role === 'leader' && raft.status().transferTarget === 0);
    const settled = leaders.length === 1 && this.#replicas.every(({ raft }) => raft.leader === leaders[0].id);
    return settled ? leaders[0] : undefined;
  }

  #tickUntil(what: string, holds: () => boolean): void {
    // Some elections, and with the smallest window two ticks for every entry that a follower lacks.
    const ticksMax = 10 * electionTicksMax + 2 * Math.max(...this.#replicas.map(({ raft }) => raft.lastIndex));
    for (let ticks = 0; !holds(); ticks++) {
      assert(ticks < ticksMax, `after ${ticks} ticks without faults it is not so that ${what}`);
      for (const replica of this.#replicas) {
        replica.raft.tick();
        this.#answerLogReads(replica);
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
    if (ready.softState?.role === 'leader') this.#checkLeader(replica, ready.softState.term);
    const [first] = ready.entries;
    if (first !== undefined && first.index <= replica.log.lastIndex) this.counts.replacedEntries++;
    const pending = this.#pendingReads.get(replica) ?? [];
    for (const { round, index } of ready.readStates) {
      while (pending.length > 0 && pending[0].round <= round) {
        assert(
          index >= pending[0].indexMin,
          `a read at ${index} misses what was committed up to ${pending[0].indexMin}`,
        );
        pending.shift();
        this.counts.answeredReads++;
      }
    }
    if (ready.readsLost) this.counts.lostReads += pending.splice(0).length;
  }

  onSnapshotWanted(): void {
    // Nobody lags so far.
  }

  onSynced(): void {
    // Seen by the checks below, in what is durable.
  }

  /** State machine safety: all apply the same entries in the same order. */
  onApplied(replica: TestReplica, entry: Entry): void {
    const committed = this.#committed[entry.index - 1];
    // The first to apply does so before `#checkCommitted` has seen the commit index.
    if (committed !== undefined) assert(equalEntries(committed, entry), `${replica.id} applies another ${entry.index}`);
  }

  // Checks

  /** Election safety: one leader a term. Leader completeness: it has all that was ever committed. */
  #checkLeader(replica: TestReplica, term: Term): void {
    const known = this.#leaders.get(term);
    assert(known === undefined || known === replica.id, `${known} and ${replica.id} lead term ${term}`);
    if (known === undefined) this.counts.leaders++;
    this.#leaders.set(term, replica.id);
    for (const entry of this.#committed) {
      if (entry.term >= term || entry.index < replica.log.firstIndex) continue;
      const own = replica.log.at(entry.index);
      assert(own !== undefined && equalEntries(own, entry), `the leader of term ${term} lacks entry ${entry.index}`);
    }
  }

  /** What a replica holds for committed is what others do, and was on a quorum's disks when the first one did. */
  #checkCommitted(replica: TestReplica): void {
    const { commitIndex } = replica.raft;
    let compared = this.#comparedTo.get(replica) ?? 0;
    while (compared < commitIndex) {
      const index = LogIndex(++compared);
      if (index < replica.log.firstIndex) continue;
      const entry = defined(replica.log.at(index), `committed entry ${index} of ${replica.id}`);
      if (index <= this.#committed.length) {
        assert(equalEntries(this.#committed[index - 1], entry), `${replica.id} has another committed entry ${index}`);
        continue;
      }
      const durable = this.#replicas.filter(({ durable: { log } }) => log.term(index) === entry.term);
      assert(durable.length * 2 > this.#replicas.length, `entry ${index} is committed, but not on a quorum's disks`);
      this.#committed.push(entry);
      this.counts.committed++;
    }
    this.#comparedTo.set(replica, compared);
  }

  /** Log matching: where two logs have an entry of one index and term, they are equal up to it. */
  #checkLogMatching(): void {
    for (const a of this.#replicas) {
      for (const b of this.#replicas) {
        if (a.id >= b.id) continue;
        let matches = false;
        for (let i: number = Math.min(a.log.lastIndex, b.log.lastIndex); i > 0; i--) {
          const [left, right] = [a.log.at(LogIndex(i)), b.log.at(LogIndex(i))];
          if (left === undefined || right === undefined) break;
          const equal = left.term === right.term;
          assert(equal || !matches, `${a.id} and ${b.id} agree after entry ${i} but not on it`);
          if (equal) assert(equalEntries(left, right), `${a.id} and ${b.id} have different entries ${i}/${left.term}`);
          matches = equal;
        }
      }
    }
  }
}

function equalEntries(a: Entry, b: Entry): boolean {
  return a.index === b.index && a.term === b.term && equalBytes(a.data, b.data);
}
