/** A host for one `Raft`, in memory: a disk whose syncs are reported when the test says so, and a state machine. */
import { assert, defined } from '../../src/base/assert.js';
import { LogIndex, type ReplicaId, Term } from '../../src/base/ids.js';
import type { Prng } from '../../src/base/prng.js';
import type { Configuration } from '../../src/raft/config.js';
import type { RaftOptions } from '../../src/raft/options.js';
import { Raft } from '../../src/raft/raft.js';
import type { Entry, HardState, LogRead, LogView, RaftMessage, RaftSnapshot, Ready } from '../../src/raft/types.js';
import { decodeConfiguration, encodeConfiguration } from './configuration-text.js';

/** A log in memory. `memoryFrom` is where entries begin to be readable without a read from disk. */
export class TestLog implements LogView {
  firstIndex = LogIndex(1);
  memoryFrom = LogIndex(1);
  #termBefore = Term(0);
  #entries: Entry[] = [];

  get lastIndex(): LogIndex {
    return LogIndex(this.firstIndex + this.#entries.length - 1);
  }

  get all(): readonly Entry[] {
    return this.#entries;
  }

  at(index: LogIndex): Entry | undefined {
    return this.#entries[index - this.firstIndex];
  }

  term(index: LogIndex): Term | undefined {
    if (index === this.firstIndex - 1) return this.#termBefore;
    return this.at(index)?.term;
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] | undefined {
    return from < this.memoryFrom ? undefined : this.read(from, to, bytesMax);
  }

  read(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    const found: Entry[] = [];
    let bytes = 0;
    for (let index: number = from; index <= to; index++) {
      const entry = defined(this.at(LogIndex(index)), `entry ${index}`);
      bytes += entry.data.length;
      if (found.length > 0 && bytes > bytesMax) break;
      found.push(entry);
    }
    return found;
  }

  /** An entry whose index is already in the log replaces it and all after it. */
  write(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index > this.firstIndex - 1 && entry.index <= this.lastIndex + 1, 'a gap in the log');
      this.#entries.length = entry.index - this.firstIndex;
      this.#entries.push(entry);
    }
  }

  dropTo(index: LogIndex): void {
    if (index < this.firstIndex) return;
    this.#termBefore = defined(this.term(index), `the term of entry ${index}`);
    this.#entries = this.#entries.slice(index - this.firstIndex + 1);
    this.firstIndex = LogIndex(index + 1);
  }

  /** The log begins after `index`, and is empty. */
  reset(index: LogIndex, term: Term): void {
    this.#termBefore = term;
    this.#entries = [];
    this.firstIndex = LogIndex(index + 1);
    this.memoryFrom = this.firstIndex;
  }

  copy(): TestLog {
    const copy = new TestLog();
    copy.firstIndex = this.firstIndex;
    copy.#termBefore = this.#termBefore;
    copy.#entries = [...this.#entries];
    return copy;
  }
}

export const newHardState: HardState = { term: Term(0), vote: 0, commit: LogIndex(0) };

/** What the replica does to its surroundings. */
export interface Surroundings {
  send(message: RaftMessage): void;
  /** Every `Ready`, before it is carried out. */
  onReady(replica: TestReplica, ready: Ready): void;
  onSynced(replica: TestReplica, ready: Ready): void;
  onApplied(replica: TestReplica, entry: Entry): void;
  /** By a leader's host: `to` is to get a snapshot. */
  onSnapshotWanted(replica: TestReplica, to: ReplicaId): void;
}

export type ReplicaSettings = Omit<RaftOptions, 'self' | 'hardState' | 'log' | 'appliedIndex' | 'random'>;

interface Durable {
  hardState: HardState;
  log: TestLog;
  /** Of the state machine, with the configuration as of then. */
  appliedIndex: LogIndex;
  configuration: Configuration;
}

export class TestReplica {
  readonly id: ReplicaId;
  raft: Raft;
  /** What survives a crash. */
  readonly durable: Durable;
  /** What the core reads: durable or on its way. */
  log = new TestLog();
  /** Handed over and not durable, oldest first. */
  writes: Ready[] = [];
  /** With false, `syncNext` finishes syncs; otherwise each finishes at once. */
  syncsHeld = false;
  logReads: LogRead[] = [];
  /** Handed over to be put in place. */
  installing: RaftSnapshot | undefined;
  #appliedIndex = LogIndex(0);
  readonly #settings: ReplicaSettings;
  readonly #random: Prng;
  readonly #surroundings: Surroundings;

  constructor(id: ReplicaId, settings: ReplicaSettings, random: Prng, surroundings: Surroundings) {
    this.id = id;
    this.#settings = settings;
    this.#random = random;
    this.#surroundings = surroundings;
    const { configuration } = settings;
    this.durable = { hardState: newHardState, log: new TestLog(), appliedIndex: LogIndex(0), configuration };
    this.raft = this.#start();
  }

  #start(): Raft {
    return new Raft({
      ...this.#settings,
      self: this.id,
      hardState: this.durable.hardState,
      log: this.log,
      appliedIndex: this.durable.appliedIndex,
      configuration: this.durable.configuration,
      random: this.#random,
    });
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** Carries out what the core asks for, as the order in `Ready`'s comment says. */
  run(): void {
    while (this.raft.hasReady()) {
      const ready = this.raft.takeReady();
      this.#surroundings.onReady(this, ready);
      this.log.write(ready.entries);
      if (ready.mustSync || ready.hardState !== undefined) this.writes.push(ready);
      for (const message of ready.messages) this.#surroundings.send(message);
      this.logReads.push(...ready.logReads);
      this.#apply(ready.commitIndex);
      for (const to of ready.snapshotsWanted) this.#surroundings.onSnapshotWanted(this, to);
      if (ready.snapshot !== undefined) {
        assert(this.installing === undefined, 'two snapshots are to be put in place at one time');
        this.installing = ready.snapshot;
      }
      if (!this.syncsHeld) this.install();
      if (ready.leaveJoint !== undefined) this.change(ready.leaveJoint);
      // Void, whatever is under way: a host may report it at once.
      if (!ready.mustSync) {
        assert(ready.messagesAfterSync.length === 0, 'a message waits for a sync that will not come');
        this.raft.synced(ready.syncPoint);
      }
      if (!this.syncsHeld) while (this.syncNext());
    }
  }

  #apply(commitIndex: LogIndex): void {
    assert(commitIndex <= this.durable.log.lastIndex, 'an entry may be applied that is not durable here');
    while (this.#appliedIndex < commitIndex) {
      const index = LogIndex(this.#appliedIndex + 1);
      this.#appliedIndex = index;
      const entry = defined(this.log.at(index), `entry ${index}`);
      this.#surroundings.onApplied(this, entry);
      const configuration = decodeConfiguration(entry.data);
      if (configuration !== undefined) this.raft.applyConfiguration(index, configuration);
    }
    this.raft.applied(this.#appliedIndex);
  }

  /** Puts a snapshot in place, after the writes before it: data, log and configuration at once. False when there is none. */
  install(): boolean {
    const snapshot = this.installing;
    if (snapshot === undefined) return false;
    while (this.syncNext());
    this.#persist(this.writes.length);
    const { index, term, configuration } = snapshot;
    this.log.reset(index, term);
    this.durable.log.reset(index, term);
    this.#appliedIndex = index;
    this.durable.appliedIndex = index;
    this.durable.configuration = configuration;
    this.installing = undefined;
    this.raft.snapshotInstalled();
    return true;
  }

  /** What a snapshot of the state machine as it is now would be called. */
  get snapshot(): RaftSnapshot {
    const index = this.#appliedIndex;
    const term = defined(this.log.term(index), `the term of entry ${index}`);
    return { index, term, configuration: this.raft.configuration };
  }

  change(next: Configuration): ReturnType<Raft['proposeConfiguration']> {
    return this.raft.proposeConfiguration(next, encodeConfiguration(next));
  }

  /** The oldest sync under way finishes. Returns false when there is none. The caller then runs the replica. */
  syncNext(): boolean {
    const count = this.writes.findIndex((write) => write.mustSync) + 1;
    if (count === 0) return false;
    const synced = this.writes[count - 1];
    this.#persist(count);
    this.#surroundings.onSynced(this, synced);
    for (const message of synced.messagesAfterSync) this.#surroundings.send(message);
    this.raft.synced(synced.syncPoint);
    return true;
  }

  #persist(count: number): void {
    for (const write of this.writes.splice(0, count)) {
      this.durable.log.write(write.entries);
      if (write.hardState !== undefined) {
        assert(write.hardState.term >= this.durable.hardState.term, 'the durable term goes back');
        this.durable.hardState = write.hardState;
      }
    }
  }

  /** The state machine's own storage has all that is applied. */
  flush(): void {
    this.durable.appliedIndex = this.#appliedIndex;
    this.durable.configuration = this.raft.configuration;
  }

  /** Drops entries that the state machine has. */
  dropLogTo(index: LogIndex): void {
    assert(index <= this.durable.appliedIndex, 'an entry is dropped that is not in the state machine');
    this.log.dropTo(index);
    this.durable.log.dropTo(index);
  }

  answerLogReads(): void {
    for (const { to, from, bytesMax } of this.logReads.splice(0)) {
      const { log } = this.durable;
      const within = from >= log.firstIndex && from <= log.lastIndex;
      this.raft.entriesRead(to, within ? log.read(from, log.lastIndex, bytesMax) : []);
    }
  }

  /** Power loss and restart: of the writes that were not reported as synced, the first `kept` had reached the disk. */
  restart(kept = 0): void {
    this.#persist(Math.min(kept, this.writes.length));
    this.writes = [];
    this.logReads = [];
    this.installing = undefined;
    this.log = this.durable.log.copy();
    this.#appliedIndex = this.durable.appliedIndex;
    this.raft = this.#start();
  }
}
