/**
 * The oldest entries of a replica's log, and when they go: when nobody needs them, as an applied `truncateLog` entry says,
 * and this replica's own tree holds them durably.
 */
import { defined } from '../base/assert.js';
import { LogIndex } from '../base/ids.js';
import type { ReplicaLog, ReplicaTree } from './replica-host.js';

export class LogPrefix {
  readonly #log: Pick<ReplicaLog, 'firstIndex' | 'bytes' | 'keepsLogLong' | 'term' | 'truncatePrefix'>;
  readonly #tree: Pick<ReplicaTree, 'durableAppliedIndex'>;
  #allowedIndex: LogIndex = LogIndex(0);

  constructor(log: ReplicaLog, tree: ReplicaTree) {
    this.#log = log;
    this.#tree = tree;
    tree.onDurable(() => this.drop());
  }

  get firstIndex(): LogIndex {
    return this.#log.firstIndex;
  }

  /** That the shard's entries take on disk. */
  get bytes(): number {
    return this.#log.bytes;
  }

  /** Whether this shard's entries are among the oldest of the node's log. */
  get keepsLogLong(): boolean {
    return this.#log.keepsLogLong;
  }

  /** Nobody needs the entries up to here, as was proposed and applied. */
  get allowedIndex(): LogIndex {
    return LogIndex(Math.max(this.#allowedIndex, this.#log.firstIndex - 1));
  }

  /** An applied entry says that nobody needs the entries up to `upTo`. They stay until {@link drop}. */
  allow(upTo: LogIndex): void {
    if (upTo > this.#allowedIndex) this.#allowedIndex = upTo;
  }

  /** Drops what may go. */
  drop(): void {
    const upTo = LogIndex(Math.min(this.#allowedIndex, this.#tree.durableAppliedIndex));
    if (upTo < this.#log.firstIndex) return;
    this.#log.truncatePrefix(upTo, defined(this.#log.term(upTo), 'term of an entry of the log'));
  }
}
