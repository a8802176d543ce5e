/**
 * Applies entries, in order, each once: up to what is committed and durable in this node's own log, as it is told.
 * Waits where the tree cannot take more, and where entries must be read from disk; and for the end of the turn after the one
 * that allowed it, by when what that turn sends is on its way and what it writes is being written: others wait for those, and
 * for what a follower applies nobody does.
 */
import { assert } from '../base/assert.js';
import { LogIndex } from '../base/ids.js';
import type { ShardId } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { Entry } from '../raft/types.js';
import type { ReplicaLog, ReplicaTree } from './replica-host.js';

export interface ApplyLoopOptions {
  readonly shard: ShardId;
  readonly clock: Pick<Clock, 'endOfTurn'>;
  readonly log: Pick<ReplicaLog, 'entries' | 'read'>;
  readonly tree: Pick<ReplicaTree, 'writeStall'>;
  readonly appliedIndex: () => LogIndex;
  /** Must raise `appliedIndex` by one. */
  readonly apply: (entry: Entry) => void;
  /** Some entries were applied: those of one read of the log. */
  readonly onApplied: () => void;
  readonly onFailure: (error: unknown) => void;
}

const readBytesMax = 1024 * 1024;

export class ApplyLoop {
  readonly #options: ApplyLoopOptions;
  #to: LogIndex;
  #isPlanned = false;
  /** The run under way. */
  #running: Promise<void> | undefined;
  #isHalted = false;
  #closed = false;

  /** @param to entries up to here may be applied from the beginning. */
  constructor(options: ApplyLoopOptions, to: LogIndex) {
    this.#options = options;
    this.#to = to;
  }

  /** Entries up to `to` may be applied. Never goes back. */
  allow(to: LogIndex): void {
    assert(to >= this.#to, `shard ${this.#options.shard}: what may be applied went from ${this.#to} back to ${to}`);
    this.#to = to;
  }

  /** Applies what it may, soon. */
  run(): void {
    const { clock, appliedIndex } = this.#options;
    if (this.#isPlanned || this.#running !== undefined || appliedIndex() >= this.#to) return;
    this.#isPlanned = true;
    clock.endOfTurn(() => {
      this.#isPlanned = false;
      this.#begin();
    });
  }

  #begin(): void {
    this.#running = this.#runToEnd().then(() => {
      this.#running = undefined;
      // The run may have found its end before more was allowed: at another end of the same turn, say.
      if (!this.#isOver) this.run();
    }, this.#options.onFailure);
  }

  /** Resolves when nothing is applied, until {@link resume}. */
  async halt(): Promise<void> {
    this.#isHalted = true;
    await this.#running;
  }

  /** The state machine has everything up to `applied` in another way: goes on after it. */
  resume(applied: LogIndex): void {
    if (this.#to < applied) this.#to = applied;
    this.#isHalted = false;
    this.run();
  }

  get #isOver(): boolean {
    return this.#closed || this.#isHalted;
  }

  async #runToEnd(): Promise<void> {
    const { log, tree, appliedIndex, onApplied } = this.#options;
    for (;;) {
      const to = this.#to;
      if (this.#isOver || appliedIndex() >= to) return;
      const from = LogIndex(appliedIndex() + 1);
      const entries = log.entries(from, to, readBytesMax) ?? (await log.read(from, to, readBytesMax));
      for (const entry of entries) {
        for (let stall = tree.writeStall(); stall !== undefined; stall = tree.writeStall()) await stall;
        if (this.#isOver) return;
        this.#applyNext(entry);
      }
      onApplied();
    }
  }

  #applyNext(entry: Entry): void {
    const { shard, appliedIndex, apply } = this.#options;
    assert(entry.index === appliedIndex() + 1, `shard ${shard} applies entry ${entry.index} out of order`);
    apply(entry);
    assert(entry.index === appliedIndex(), `shard ${shard} has not applied entry ${entry.index}`);
  }

  close(): void {
    this.#closed = true;
  }
}
