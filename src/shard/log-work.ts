/**
 * What a replica's core has done with the log: records written through the node's one writer, entries read for followers
 * that are far behind. Waits for both; nothing that comes back after the end is passed on.
 */
import type { LogIndex, ReplicaId } from '../base/ids.js';
import type { Entry, Ready } from '../raft/types.js';
import type { LogRecords, ReplicaLog } from './replica-host.js';

export interface LogWorkOptions {
  readonly log: Pick<ReplicaLog, 'firstIndex' | 'lastIndex' | 'read'>;
  readonly append: (records: LogRecords) => Promise<void>;
  /** What `ready` has for the log is durable. In the order of the writes. */
  readonly onSynced: (ready: Ready) => void;
  readonly onRead: (to: ReplicaId, entries: readonly Entry[]) => void;
  readonly onFailure: (error: unknown) => void;
}

export class LogWork {
  readonly #options: LogWorkOptions;
  #closed = false;

  constructor(options: LogWorkOptions) {
    this.#options = options;
  }

  write(ready: Ready): void {
    const { hardState, entries, mustSync } = ready;
    if (hardState === undefined && entries.length === 0) return;
    this.#options.append({ hardState, entries, mustSync }).then(() => {
      if (this.#closed || !mustSync) return;
      this.#options.onSynced(ready);
    }, this.#options.onFailure);
  }

  /** Reads from `from` on for `to`, about `bytesMax` bytes; nothing where the log begins later. */
  async read(to: ReplicaId, from: LogIndex, bytesMax: number): Promise<void> {
    const { log, onRead, onFailure } = this.#options;
    try {
      if (from < log.firstIndex) return;
      const entries = await log.read(from, log.lastIndex, bytesMax);
      if (!this.#closed) onRead(to, entries);
    } catch (error) {
      onFailure(error);
    }
  }

  close(): void {
    this.#closed = true;
  }
}
