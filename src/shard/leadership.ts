/**
 * A replica's leadership: from when on it may evaluate, who is told of its beginning and end, and to whom it goes.
 *
 * Invariants
 * - A leader is ready, and its beginning announced, only when it has applied an entry of its own term (pitfall 6).
 * - Every end is announced, also of a leadership that was lost before it was ready, and of one that ends with its
 *   replica: nothing may wait for it.
 */
import { LogIndex } from '../base/ids.js';
import type { ReplicaId, ShardId, Term } from '../base/ids.js';
import type { Logger } from '../env/logger.js';
import type { Raft } from '../raft/raft.js';
import { bestFollower } from './followers.js';

export interface LeadershipOptions {
  readonly raft: Pick<
    Raft,
    'role' | 'term' | 'lastIndex' | 'retire' | 'transferLeadership' | 'transferTarget' | 'status'
  >;
  readonly shard: ShardId;
  readonly logger: Logger;
  readonly appliedIndex: () => LogIndex;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  /** Index of its own term's first entry, which must be applied first; 0 while it does not lead. */
  #from: LogIndex = LogIndex(0);
  #isAnnounced = false;
  #closed = false;
  readonly #listeners: ((leading: boolean) => void)[] = [];

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  get isLeader(): boolean {
    return !this.#closed && this.#options.raft.role === 'leader';
  }

  /** It may evaluate. */
  get isReady(): boolean {
    return this.isLeader && this.#from > 0 && this.#options.appliedIndex() >= this.#from;
  }

  /** `listener(leading)` runs when it becomes ready, and when it ends. Listeners run in the order in which they came. */
  onChange(listener: (leading: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** The core has another role, or the same in another term. */
  roleChanged(leading: boolean, term: Term): void {
    if (leading) this.#from = this.#options.raft.lastIndex;
    else if (this.#from > 0) this.#end(term);
  }

  /** It leads nothing any more. */
  #end(term: Term): void {
    this.#from = LogIndex(0);
    this.#isAnnounced = false;
    this.#options.logger.info('leads no more', { shard: this.#options.shard, term });
    for (const listener of this.#listeners) listener(false);
  }

  /** An entry was applied. */
  applied(): void {
    if (this.#isAnnounced || !this.isReady) return;
    this.#isAnnounced = true;
    const { logger, shard, raft } = this.#options;
    logger.info('leads', { shard, term: raft.term });
    for (const listener of this.#listeners) listener(true);
  }

  /**
   * To the live voter that has most of the log, of `among` if that is given; a single one need not be alive. Returns whether
   * it is under way.
   */
  transfer(among?: readonly ReplicaId[]): boolean {
    if (!this.isLeader) return false;
    const { raft } = this.#options;
    const isAmong = (replica: ReplicaId): boolean => among?.includes(replica) ?? true;
    const target = among?.length === 1 ? among[0] : bestFollower(raft.status(), isAmong);
    return target !== undefined && raft.transferLeadership(target);
  }

  /** A transfer that began here has neither ended nor been given up. */
  get isHandingOver(): boolean {
    return this.isLeader && this.#options.raft.transferTarget !== 0;
  }

  /** Gives it up if somebody takes it, by one transfer, and takes it no more. */
  retire(): void {
    this.#options.raft.retire();
    this.transfer();
  }

  /** The replica ends, and so does what it leads. */
  close(): void {
    // Or the core has only just won: tasks are taken from then on.
    const leads = this.#from > 0 || this.isLeader;
    this.#closed = true;
    if (leads) this.#end(this.#options.raft.term);
  }
}
