/**
 * A replica's side of Raft snapshots. As a leader's: what a snapshot is called, and how its transfer begins and ends. As a
 * follower's: data that has arrived takes the place of log and state machine.
 *
 * The order, so that a crash at any point leaves old or new state: the term is durable, the data is decided for (`commit`), its
 * tree takes the place of the other, the log is reset in memory and on its way to disk, and only when that is durable is it
 * forgotten that there was something to do (`finish`). A start does what is left (src/node/snapshots/install.ts).
 */
import { assert, defined } from '../base/assert.js';
import type { LogIndex, ReplicaId } from '../base/ids.js';
import { deferred } from '../base/promises.js';
import type { Deferred } from '../base/promises.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import type { Configuration } from '../raft/config.js';
import type { Raft } from '../raft/raft.js';
import type { RaftSnapshot, SnapshotRequest } from '../raft/types.js';
import type { ApplyLoop } from './apply-loop.js';
import type { LogRecords, ReplicaLog, ReplicaTree } from './replica-host.js';

/** The data of a snapshot on this node: whole, checked and durable. */
export interface SnapshotData {
  /** From now on, also after a crash, it takes the place of what the shard has. Resolves to the folder of its tree. */
  commit(): Promise<string>;
  /** The log begins after it, durably. */
  finish(): Promise<void>;
}

export interface ReplicaSnapshotsOptions {
  readonly raft: Raft;
  readonly log: Pick<ReplicaLog, 'hardState' | 'term' | 'truncatePrefix'>;
  readonly machine: Pick<StateMachine, 'replaceState'>;
  readonly tree: Pick<ReplicaTree, 'replaceBy'>;
  readonly applyLoop: Pick<ApplyLoop, 'halt' | 'resume'>;
  readonly append: (records: LogRecords) => Promise<void>;
  readonly step: (request: SnapshotRequest) => void;
  /** In the turn in which state machine and log are those of the snapshot. */
  readonly onInstalled: (snapshot: RaftSnapshot) => void;
  /** What waits may go on. */
  readonly schedule: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class ReplicaSnapshots {
  readonly #options: ReplicaSnapshotsOptions;
  /** Stepped, and not in place. */
  #arrived: { readonly data: SnapshotData; readonly done: Deferred<'installed' | 'ended'> } | undefined;
  /** Putting it in place. */
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: ReplicaSnapshotsOptions) {
    this.#options = options;
  }

  // ---- of a leader

  /** Changes, as an object, with every change of it that is applied. */
  get configuration(): Configuration {
    return this.#options.raft.configuration;
  }

  /** The state machine as it was after entry `index` under this configuration; undefined where the log has forgotten that. */
  name(index: LogIndex, configuration: Configuration): RaftSnapshot | undefined {
    const term = this.#options.log.term(index);
    return term === undefined ? undefined : { index, term, configuration };
  }

  /** See `Raft.beginSnapshot`. */
  begin(to: ReplicaId, snapshot: RaftSnapshot): SnapshotRequest | undefined {
    return this.#options.raft.beginSnapshot(to, snapshot);
  }

  /** See `Raft.snapshotEnded`. */
  ended(to: ReplicaId, outcome: 'delivered' | 'failed'): void {
    if (this.#closed) return;
    this.#options.raft.snapshotEnded(to, outcome);
    this.#options.schedule();
  }

  // ---- of a follower

  /** Whether its data is wanted. If not, {@link step} says all that there is to say. */
  needs({ term, snapshot }: SnapshotRequest): boolean {
    const { raft } = this.#options;
    return !this.#closed && term >= raft.term && raft.needsSnapshot(snapshot);
  }

  /** The request without its data, which is not needed. */
  step(request: SnapshotRequest): void {
    assert(!this.needs(request), 'a snapshot that is needed is stepped with its data');
    if (!this.#closed) this.#options.step(request);
  }

  /** Resolves when the data is in place, durably, or the replica has ended first; `notNeeded` where it was not touched. */
  async install(request: SnapshotRequest, data: SnapshotData): Promise<'installed' | 'notNeeded' | 'ended'> {
    if (!this.needs(request)) {
      this.step(request);
      return 'notNeeded';
    }
    assert(this.#arrived === undefined, 'two snapshots are put in place at one time');
    const done = deferred<'installed' | 'ended'>();
    this.#arrived = { data, done };
    this.#options.step(request);
    assert(this.#options.raft.isInstalling, 'a snapshot that was needed is not installed');
    return done.promise;
  }

  /** `Ready.snapshot`. */
  putInPlace(snapshot: RaftSnapshot): void {
    const { data, done } = defined(this.#arrived, 'the data of the snapshot');
    this.#running = this.#putInPlace(snapshot, data).then(
      () => {
        this.#arrived = undefined;
        this.#running = undefined;
        done.resolve(this.#closed ? 'ended' : 'installed');
      },
      (error: unknown) => {
        done.resolve('ended');
        if (!this.#closed) this.#options.onFailure(error);
      },
    );
  }

  async #putInPlace(snapshot: RaftSnapshot, data: SnapshotData): Promise<void> {
    const { index, term } = snapshot;
    const { applyLoop, machine, tree, log, raft, append, onInstalled } = this.#options;
    await applyLoop.halt();
    if (this.#closed) return;
    // A start goes on from the next step, whatever else is durable: its log then ends with an entry of the snapshot's term, which
    // may have been heard of in this very turn.
    await append({ hardState: log.hardState, entries: [], mustSync: true });
    if (this.#closed) return;
    const folder = await data.commit();
    if (this.#closed) return;
    await machine.replaceState(async () => {
      const appliedIndex = await tree.replaceBy(folder);
      if (this.#closed) return;
      assert(appliedIndex === index, `a snapshot of entry ${index} has applied ${appliedIndex}`);
    });
    if (this.#closed) return;
    // From here on in one turn: the core looks at the log with every message.
    log.truncatePrefix(index, term);
    raft.snapshotInstalled();
    applyLoop.resume(index);
    onInstalled(snapshot);
    await append({ hardState: log.hardState, entries: [], mustSync: true });
    await data.finish();
  }

  /** What is being put in place stops on its way; {@link settled}, once the tree is closed, too. */
  close(): void {
    this.#closed = true;
    if (this.#running === undefined) this.#arrived?.done.resolve('ended');
  }

  /** Resolves when nothing here touches files any more. */
  async settled(): Promise<void> {
    await this.#running;
  }
}
