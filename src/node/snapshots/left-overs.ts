/**
 * What this node has of Raft snapshots whose transfers broke, for the next transfer of the same checkpoint to go on with. Only
 * of this process: a start removes the folders.
 *
 * Invariants
 * - The folder of a left-over has what its record says, no sync of it has failed, and nobody touches it.
 * - There is one of a shard, and of all shards together no more than Raft snapshots are fetched at a time.
 * - One goes when another checkpoint is offered, when its replica goes, and when its sender has given up the checkpoint, too.
 */
import type { NodeId, ShardId } from '../../base/ids.js';
import type { PeerRequest } from '../../rpc/peer-messages.js';
import type { Replica } from '../../shard/replica.js';
import type { Fetched } from './download.js';

export type Offer = Extract<PeerRequest, { readonly type: 'offerSnapshot' }>;

/** What is fetched, and for whom. */
export interface Source {
  readonly from: NodeId;
  readonly offer: Offer;
  readonly replica: Replica;
}

export interface LeftOversOptions {
  readonly countMax: number;
  /** For which one stays that nobody goes on with. */
  readonly ticksMax: number;
  readonly replica: (shard: ShardId) => Replica | undefined;
  /** Removes the shard's folder of what is being fetched; does not reject. */
  readonly remove: (shard: ShardId) => Promise<void>;
}

interface LeftOver {
  readonly source: Source;
  readonly fetched: Fetched;
  ticks: number;
}

export class LeftOvers {
  readonly #options: LeftOversOptions;
  /** The oldest first. */
  readonly #kept = new Map<ShardId, LeftOver>();
  readonly #removals = new Map<ShardId, Promise<void>>();

  constructor(options: LeftOversOptions) {
    this.#options = options;
  }

  /** What is left of the same checkpoint, from now on the caller's; otherwise, once nothing is left of any other, nothing. */
  async take(source: Source): Promise<Fetched> {
    const { shard } = source.offer;
    const kept = this.#kept.get(shard);
    if (kept !== undefined && isSame(kept.source, source)) {
      this.#kept.delete(shard);
      return kept.fetched;
    }
    this.drop(shard);
    await this.#removals.get(shard);
    return { manifest: undefined, files: new Map() };
  }

  /** No effect where the replica is gone, and its folders with it. */
  keep(source: Source, fetched: Fetched): void {
    if (this.#options.replica(source.offer.shard) !== source.replica) return;
    this.#kept.set(source.offer.shard, { source, fetched, ticks: 0 });
  }

  has(shard: ShardId): boolean {
    return this.#kept.has(shard);
  }

  /** The oldest go, where there are too many beside those that are being fetched. */
  makeRoom(fetching: number): void {
    for (const shard of this.#kept.keys()) {
      if (this.#kept.size + fetching <= this.#options.countMax) return;
      this.drop(shard);
    }
  }

  drop(shard: ShardId): void {
    if (!this.#kept.delete(shard)) return;
    const removal = this.#options.remove(shard).finally(() => this.#removals.delete(shard));
    this.#removals.set(shard, removal);
  }

  tick(): void {
    for (const [shard, kept] of this.#kept) {
      // The folder goes with its replica.
      if (this.#options.replica(shard) !== kept.source.replica) this.#kept.delete(shard);
      else if (++kept.ticks >= this.#options.ticksMax) this.drop(shard);
    }
  }

  /** Resolves when nothing is being removed. */
  async settled(): Promise<void> {
    await Promise.all(this.#removals.values());
  }
}

/** Whether two offers are of one checkpoint, for one replica. Its number tells it from those of other processes of the node, too. */
export function isSame(one: Source, other: Source): boolean {
  const [{ snapshot }, { snapshot: otherSnapshot }] = [one.offer.request, other.offer.request];
  return (
    one.from === other.from &&
    one.replica === other.replica &&
    one.offer.checkpoint === other.offer.checkpoint &&
    one.offer.manifestBytes === other.offer.manifestBytes &&
    snapshot.index === otherSnapshot.index &&
    snapshot.term === otherSnapshot.term
  );
}
