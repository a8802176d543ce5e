/**
 * Keeps the node's log short, and says when it cannot: which replicas' entries may go, which trees to flush, and for
 * which node that is down the log is kept.
 */
import { QuorateError } from '../../base/errors.js';
import { LogIndex } from '../../base/ids.js';
import type { NodeId, ShardId } from '../../base/ids.js';
import type { Limits } from '../../base/limits.js';
import type { Logger } from '../../env/logger.js';
import { droppableIndex } from '../../raft/log-truncation.js';
import { encodeEntry } from '../../shard/entry-format.js';
import { nodesLacking } from '../../shard/followers.js';
import type { HostedShard } from './hosted-shard.js';
import type { LogAllowance } from './log-allowance.js';

/** Entries that a log may gather before its leader has them dropped, when nobody needs them. */
const truncateEntriesMin = 1000;
/** Ticks between two looks at what the log could drop. */
const lookTicks = 20;
/** Fewer of a shard that has become quiet are dropped this often: another node's log may be long because of them. */
const truncateFewTicks = 200;

export interface LogKeeperOptions {
  readonly shards: () => Iterable<HostedShard>;
  readonly logBytes: () => number;
  /** See `ShardHost.logAllowance`. */
  readonly allowance: (hosted: HostedShard) => LogAllowance;
  /** Entries after it are needed for a Raft snapshot that is being sent, if there is one. */
  readonly snapshotIndex: (shard: ShardId) => LogIndex | undefined;
  readonly limits: Pick<Limits, 'logBytesFlush' | 'shardLogBytesMax'>;
  readonly logger: Logger;
  readonly onFailure: (error: Error) => void;
}

export class LogKeeper {
  readonly #options: LogKeeperOptions;
  #ticks = 0;
  /** On a full disk a flush can take for ever. */
  readonly #flushing = new Set<ShardId>();
  /** Nodes for which the log is kept, since it became long. */
  readonly #keptFor = new Set<NodeId>();
  /** As of the last look: a new leader does not know at once what its followers have. */
  #missingBefore: ReadonlyMap<NodeId, ShardId> = new Map();

  constructor(options: LogKeeperOptions) {
    this.#options = options;
  }

  tick(): void {
    if (++this.#ticks % lookTicks !== 0) return;
    const logBytes = this.#options.logBytes();
    const isLong = logBytes >= this.#options.limits.logBytesFlush;
    this.#dropEntries(isLong);
    if (isLong) this.#flushTrees();
    this.#report(isLong, logBytes);
  }

  /**
   * Leaders have entries dropped that nobody needs, many at a time, and now and then the few of a quiet shard, which
   * keep whole segments: a leader does not see whose log is long. Where the log is, at once.
   */
  #dropEntries(isLong: boolean): void {
    const isTimeForFew = this.#ticks % truncateFewTicks === 0;
    for (const hosted of this.#options.shards()) {
      const { replica } = hosted;
      if (!replica.isReadyLeader) continue;
      // What this proposes is an entry, too: one alone is not worth the next.
      const isTooLong = replica.logPrefix.bytes > this.#options.limits.shardLogBytesMax;
      const enough =
        isTooLong || (isLong && replica.logPrefix.keepsLogLong) ? 1 : isTimeForFew ? 2 : truncateEntriesMin;
      const { allowedIndex } = replica.logPrefix;
      // Of a thousand quiet shards there is no need to ask what their followers have.
      if (replica.lastIndex - allowedIndex < enough) continue;
      const upTo = this.#droppableIndex(hosted);
      if (upTo - allowedIndex >= enough) replica.propose(encodeEntry({ type: 'truncateLog', upTo }), () => undefined);
    }
  }

  /** Up to what the followers have, as far as the shard's log is not too long for the sake of the slowest. */
  #droppableIndex(hosted: HostedShard): LogIndex {
    const { replica } = hosted;
    const { shard, logPrefix, lastIndex } = replica;
    const { allowance, snapshotIndex } = this.#options;
    const { bytes, firstIndex } = logPrefix;
    const entries = lastIndex - firstIndex + 1;
    const keptOf = (bytesMax: number): number => (bytes <= bytesMax ? Infinity : (entries * bytesMax) / bytes);
    const { away, catchingUp } = allowance(hosted);
    const upTo = droppableIndex(replica.status(), { away: keptOf(away), catchingUp: keptOf(catchingUp) });
    return LogIndex(Math.min(upTo, snapshotIndex(shard) ?? Infinity));
  }

  /** Flushes the trees that keep a long log from shrinking. */
  #flushTrees(): void {
    const { shards, logger, onFailure } = this.#options;
    for (const { replica, tree } of shards()) {
      const { keepsLogLong, firstIndex } = replica.logPrefix;
      // Where the log keeps entries that this tree has in tables, somebody else needs them: a flush would not help.
      if (!keepsLogLong || tree.durableAppliedIndex >= firstIndex) continue;
      if (tree.durableAppliedIndex === tree.appliedIndex || this.#flushing.has(replica.shard)) continue;
      const { shard } = replica;
      this.#flushing.add(shard);
      tree
        .flush()
        .catch((error: unknown) => onFailure(QuorateError.from(error)))
        .finally(() => this.#flushing.delete(shard));
      logger.debug('flushes a tree to shorten the log', { shard });
    }
  }

  /** One line for each node for which a long log is kept, and one when it is short again. */
  #report(isLong: boolean, logBytes: number): void {
    const { logger } = this.#options;
    if (!isLong) {
      if (this.#keptFor.size === 0) return;
      logger.info('the log is short again', { keptFor: [...this.#keptFor], logBytes });
      this.#keptFor.clear();
      return;
    }
    const missing = this.#missing();
    for (const [follower, shard] of missing) {
      if (this.#keptFor.has(follower) || !this.#missingBefore.has(follower)) continue;
      this.#keptFor.add(follower);
      logger.warn('the log is long, kept for a node that lacks entries', { follower, shard, logBytes });
    }
    this.#missingBefore = missing;
  }

  /**
   * Nodes that lack entries which are the oldest of the log, and are in tables here; each with one of the shards, as far
   * as this node leads them.
   */
  #missing(): Map<NodeId, ShardId> {
    const missing = new Map<NodeId, ShardId>();
    for (const { replica, tree } of this.#options.shards()) {
      if (!replica.isReadyLeader || !replica.logPrefix.keepsLogLong) continue;
      for (const node of nodesLacking(replica.status(), replica.descriptor, tree.durableAppliedIndex)) {
        if (!missing.has(node)) missing.set(node, replica.shard);
      }
    }
    return missing;
  }
}
