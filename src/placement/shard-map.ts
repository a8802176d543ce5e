/** Which shard has a key: the descriptors of all shards, ordered by start. They tile the key space. Immutable. */
import { assert } from '../base/assert.js';
import { compareBytes, equalBytes } from '../base/bytes.js';
import type { ShardId } from '../base/ids.js';
import type { ShardDescriptor } from '../shard/descriptor.js';

export class ShardMap {
  /** Grows with every change. */
  readonly revision: number;
  /** Ordered by start; empty before the cluster is formed. */
  readonly shards: readonly ShardDescriptor[];
  readonly #byId = new Map<ShardId, ShardDescriptor>();

  constructor(revision: number, shards: readonly ShardDescriptor[]) {
    this.revision = revision;
    this.shards = [...shards].sort((a, b) => compareBytes(a.start, b.start));
    for (const shard of this.shards) this.#byId.set(shard.shard, shard);
    assertTiles(this.shards);
  }

  byId(shard: ShardId): ShardDescriptor | undefined {
    return this.#byId.get(shard);
  }

  /** The shard that has `key`; undefined only in an empty map. */
  find(key: Uint8Array): ShardDescriptor | undefined {
    let low = 0;
    let high = this.shards.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.shards[middle].start, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.shards[low - 1];
  }

  /** The shard with the last keys below `bound` (exclusive; empty is the end of the key space). */
  findBelow(bound: Uint8Array): ShardDescriptor | undefined {
    if (bound.length === 0) return this.shards.at(-1);
    return this.shards.findLast((shard) => compareBytes(shard.start, bound) < 0);
  }
}

function assertTiles(shards: readonly ShardDescriptor[]): void {
  if (shards.length === 0) return;
  assert(shards[0].start.length === 0, 'the first shard does not begin at the beginning');
  for (let i = 0; i + 1 < shards.length; i++) {
    assert(equalBytes(shards[i].end, shards[i + 1].start), `a gap or an overlap after shard ${shards[i].shard}`);
  }
  assert(shards[shards.length - 1].end.length === 0, 'the last shard does not end at the end');
}
