/**
 * Whether replicas hold what the entries that they have applied add up to, each at the index where it is: nothing that is
 * flushed, merged, recovered or fetched as a Raft snapshot may change it. What entries add up to is noted when the first replica
 * applies them; that all apply the same ones is for {@link RaftChecks} to see.
 */
import { mapKey } from '../base/bytes.js';
import { maskedCrc32 } from '../base/checksum.js';
import { ByteWriter } from '../base/coding.js';
import { Timestamp, type LogIndex, type ShardId } from '../base/ids.js';
import { keyPrefix, keyPrefixEnd, prefixKey } from '../mvcc/keyspace.js';
import { initialIndex, type StateMachine } from '../mvcc/state-machine.js';
import { decodeWriteBatch, type EffectSink } from '../mvcc/write-batch-reader.js';
import type { Entry } from '../raft/types.js';
import type { EntryEffect } from '../shard/entry-effect.js';

/** Of records, in any order. */
class Sum {
  readonly #framed = new ByteWriter();
  #records = 0;
  #checksums = 0;

  /** The checksum that it counts with. */
  add(key: Uint8Array, version: Timestamp, value: Uint8Array): number {
    this.#framed.reset();
    this.#framed.bytes(key).varint(version).bytes(value);
    const checksum = maskedCrc32(this.#framed.view());
    this.#records++;
    this.#checksums += checksum;
    return checksum;
  }

  remove(checksum: number): void {
    this.#records--;
    this.#checksums -= checksum;
  }

  /** Equal where the records are. @param maxVersion highest version of the shard */
  describe(maxVersion: Timestamp): string {
    return `${this.#records} records, checksums ${this.#checksums}, highest version ${maxVersion}`;
  }
}

/** All that entries of one shard have written. */
class Contents implements EffectSink {
  /** By the key: version and checksum of the newest value. */
  readonly #newest = new Map<string, { readonly version: Timestamp; readonly checksum: number }>();
  readonly #sum = new Sum();
  #maxVersion = Timestamp(0);
  /** By index less {@link initialIndex}. */
  readonly #described: string[] = [this.#sum.describe(this.#maxVersion)];

  get appliedIndex(): number {
    return initialIndex + this.#described.length - 1;
  }

  apply(effect: EntryEffect): void {
    if (effect.type === 'write' && effect.batch.length > 0) {
      const version = decodeWriteBatch(effect.batch, this);
      if (version > 0) this.#maxVersion = version;
    }
    this.#described.push(this.#sum.describe(this.#maxVersion));
  }

  put(key: Uint8Array, version: Timestamp, value: Uint8Array): void {
    if (this.#supersede(key, version))
      this.#newest.set(mapKey(key), { version, checksum: this.#sum.add(key, version, value) });
  }

  delete(key: Uint8Array, version: Timestamp): void {
    if (this.#supersede(key, version)) this.#newest.delete(mapKey(key));
  }

  /** False where there is a newer one, which stays. */
  #supersede(key: Uint8Array, version: Timestamp): boolean {
    const before = this.#newest.get(mapKey(key));
    if (before === undefined) return true;
    if (before.version > version) return false;
    this.#sum.remove(before.checksum);
    return true;
  }

  describedAt(index: number): string | undefined {
    return this.#described[index - initialIndex];
  }
}

export class StateChecks {
  /** What was wrong, as soon as it was seen. */
  readonly violations: string[] = [];
  readonly #shards = new Map<ShardId, Contents>();

  /** A replica has applied `entry`. */
  applied(shard: ShardId, { index }: Pick<Entry, 'index'>, effect: EntryEffect): void {
    let contents = this.#shards.get(shard);
    if (contents === undefined) this.#shards.set(shard, (contents = new Contents()));
    if (index > contents.appliedIndex + 1)
      this.violations.push(`shard ${shard}: ${index} is applied, and nobody had applied ${index - 1}`);
    else if (index === contents.appliedIndex + 1) contents.apply(effect);
  }

  /**
   * Reads all that a replica holds now. False where that cannot be done, for which there may be reasons: it holds nothing yet, something
   * else takes its place, its process ends, its disk fails. What of that is wrong is for the node to find.
   */
  async read(shard: ShardId, machine: StateMachine, who: string): Promise<boolean> {
    const { appliedIndex: index, maxVersion } = machine;
    if (index < initialIndex) return false;
    try {
      const held = await describe(machine, maxVersion);
      const wanted = this.#describedAt(shard, index);
      if (held !== wanted)
        this.violations.push(`${who} holds of shard ${shard} at ${index}: ${held}; its entries add up to: ${wanted}`);
      return true;
    } catch {
      return false;
    }
  }

  #describedAt(shard: ShardId, index: LogIndex): string | undefined {
    return (this.#shards.get(shard) ?? new Contents()).describedAt(index);
  }
}

async function describe(machine: StateMachine, maxVersion: Timestamp): Promise<string> {
  const sum = new Sum();
  const iterator = machine.openIterator({
    lower: prefixKey(keyPrefix.user),
    upper: prefixKey(keyPrefixEnd),
    at: maxVersion,
    reverse: false,
  });
  try {
    for (;;) {
      const next = iterator.next();
      const record = next instanceof Promise ? await next : next;
      if (record === undefined) return sum.describe(maxVersion);
      sum.add(record.key, record.version, record.value);
    }
  } finally {
    iterator.close();
  }
}
