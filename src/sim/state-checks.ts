/**
 * Whether replicas hold what the entries that they have applied add up to, each at the index where it is: nothing that is
 * flushed, merged, recovered or fetched as a Raft snapshot may change it, neither what is newest nor older versions that readers
 * are promised. What entries add up to is noted when the first replica applies them; that all apply the same ones is for
 * {@link RaftChecks} to see.
 *
 * Older versions are read as readers do, at a timestamp: what no reader sees any more a replica may have, or not.
 */
import { mapKey } from '../base/bytes.js';
import { maskedCrc32 } from '../base/checksum.js';
import { ByteWriter } from '../base/coding.js';
import { Timestamp, type LogIndex, type ShardId } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import { keyPrefix, keyPrefixEnd, prefixKey } from '../mvcc/keyspace.js';
import { initialIndex, type StateMachine } from '../mvcc/state-machine.js';
import { decodeWriteBatch } from '../mvcc/write-batch-reader.js';
import type { Entry } from '../raft/types.js';
import type { EntryEffect } from '../shard/entry-effect.js';

export interface StateChecksOptions {
  /** Draws the timestamps. */
  readonly random: Prng;
  /** As all nodes have it; see `StateMachineOptions`. */
  readonly retentionOf: (shard: ShardId) => number;
}

/** Of records, in any order. */
class Sum {
  #records = 0;
  #checksums = 0;

  add(checksum: number): void {
    this.#records++;
    this.#checksums += checksum;
  }

  remove(checksum: number): void {
    this.#records--;
    this.#checksums -= checksum;
  }

  /** Equal where the records are. */
  describe(): string {
    return `${this.#records} records, checksums ${this.#checksums}`;
  }
}

interface Change {
  /** For maps. */
  readonly key: string;
  readonly version: Timestamp;
  /** Of the new record; undefined where there is none any more. */
  readonly checksum: number | undefined;
}

/** What readers see at a version, and at all timestamps from there up to the next one. */
interface State {
  readonly version: Timestamp;
  readonly described: string;
}

interface OlderState {
  /** The timestamp just below the next version. */
  readonly seenLast: Timestamp;
  readonly described: string;
}

/** All that entries of one shard have written. Versions grow from entry to entry, so a state is that of its version at every later index. */
class Contents {
  /** Checksums of the newest records, by their keys. */
  readonly #newest = new Map<string, number>();
  readonly #sum = new Sum();
  /** Of each version, and of 0. */
  readonly #states: State[] = [{ version: Timestamp(0), described: this.#sum.describe() }];
  /** Where the newest state of an index is, by index less {@link initialIndex}. */
  readonly #positions: number[] = [0];

  get appliedIndex(): number {
    return initialIndex + this.#positions.length - 1;
  }

  get newestVersion(): Timestamp {
    return this.#states[this.#states.length - 1].version;
  }

  /** @param changes in the order of their versions */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#replace(change);
      if (change.version === this.newestVersion) this.#states.pop();
      this.#states.push({ version: change.version, described: this.#sum.describe() });
    }
    this.#positions.push(this.#states.length - 1);
  }

  #replace({ key, checksum }: Change): void {
    const before = this.#newest.get(key);
    if (before !== undefined) this.#sum.remove(before);
    if (checksum === undefined) {
      this.#newest.delete(key);
    } else {
      this.#newest.set(key, checksum);
      this.#sum.add(checksum);
    }
  }

  newestAt(index: LogIndex): State | undefined {
    const position = this.#position(index);
    return position === undefined ? undefined : this.#states[position];
  }

  /**
   * One of the states that came before that one and are seen at `safePoint` or above; often the oldest, which is next to what may be
   * dropped. Undefined where there is none.
   */
  drawOlderAt(index: LogIndex, safePoint: number, random: Prng): OlderState | undefined {
    const newest = this.#position(index) ?? 0;
    if (newest === 0) return undefined;
    let oldest = newest - 1;
    while (oldest > 0 && this.#states[oldest].version > safePoint) oldest--;
    const drawn = oldest > 0 && random.chance(0.5) ? oldest : random.int(oldest, newest - 1);
    const { described } = this.#states[drawn];
    return { seenLast: Timestamp(this.#states[drawn + 1].version - 1), described };
  }

  #position(index: LogIndex): number | undefined {
    return this.#positions[index - initialIndex];
  }
}

export class StateChecks {
  /** What was wrong, as soon as it was seen. */
  readonly violations: string[] = [];
  readonly #random: Prng;
  readonly #retentionOf: StateChecksOptions['retentionOf'];
  readonly #shards = new Map<ShardId, Contents>();

  constructor({ random, retentionOf }: StateChecksOptions) {
    this.#random = random;
    this.#retentionOf = retentionOf;
  }

  /** A replica has applied `entry`. */
  applied(shard: ShardId, { index }: Pick<Entry, 'index'>, effect: EntryEffect): void {
    const contents = this.#contents(shard);
    if (index > contents.appliedIndex + 1) {
      this.violations.push(`shard ${shard}: ${index} is applied, and nobody had applied ${index - 1}`);
    } else if (index === contents.appliedIndex + 1) {
      const changes = changesOf(effect);
      if (changes.length > 0 && changes[0].version <= contents.newestVersion)
        this.violations.push(`shard ${shard}: ${index} writes ${changes[0].version} after ${contents.newestVersion}`);
      contents.apply(changes);
    }
  }

  /**
   * Reads all that a replica holds now, the newest versions. False where that cannot be done, for which there may be reasons: it holds
   * nothing yet, something else takes its place, its process ends, its disk fails. What of that is wrong is for the node to find.
   */
  async readNewest(shard: ShardId, machine: StateMachine, who: string): Promise<boolean> {
    const { appliedIndex: index, maxVersion } = machine;
    if (index < initialIndex) return false;
    const state = this.#contents(shard).newestAt(index);
    const wanted = state && `${state.described}, highest version ${state.version}`;
    const held = await describe(machine, maxVersion);
    if (held === undefined) return false;
    this.#compare(`${who} holds of shard ${shard} at ${index}`, `${held}, highest version ${maxVersion}`, wanted);
    return true;
  }

  /** Reads all that a replica shows at an older timestamp that readers are promised; false also where there is none. */
  async readOlder(shard: ShardId, machine: StateMachine, who: string): Promise<boolean> {
    const { appliedIndex: index } = machine;
    const contents = this.#contents(shard);
    // The replica's own safe point may be what is wrong.
    const safePoint = (contents.newestAt(index)?.version ?? 0) - this.#retentionOf(shard);
    const older = contents.drawOlderAt(index, safePoint, this.#random);
    if (older === undefined) return false;
    const { seenLast: at, described: wanted } = older;
    const held = await describe(machine, at);
    if (held === undefined) return false;
    this.#compare(`${who} holds of shard ${shard} at ${index}, as of version ${at}`, held, wanted);
    return true;
  }

  #compare(what: string, held: string, wanted: string | undefined): void {
    if (held !== wanted) this.violations.push(`${what}: ${held}; its entries add up to: ${wanted}`);
  }

  #contents(shard: ShardId): Contents {
    let contents = this.#shards.get(shard);
    if (contents === undefined) this.#shards.set(shard, (contents = new Contents()));
    return contents;
  }
}

const framed = new ByteWriter();

function checksumOf(key: Uint8Array, version: Timestamp, value: Uint8Array): number {
  framed.reset();
  framed.bytes(key).varint(version).bytes(value);
  return maskedCrc32(framed.view());
}

/** In the order of their versions. */
function changesOf(effect: EntryEffect): readonly Change[] {
  if (effect.type !== 'write' || effect.batch.length === 0) return [];
  const changes: Change[] = [];
  decodeWriteBatch(effect.batch, {
    put: (key, version, value) =>
      changes.push({ key: mapKey(key), version, checksum: checksumOf(key, version, value) }),
    delete: (key, version) => changes.push({ key: mapKey(key), version, checksum: undefined }),
  });
  return changes.sort((one, other) => one.version - other.version);
}

/** All that readers see at `at`; undefined where it cannot be read. */
async function describe(machine: StateMachine, at: Timestamp): Promise<string | undefined> {
  const sum = new Sum();
  try {
    const iterator = machine.openIterator({
      lower: prefixKey(keyPrefix.user),
      upper: prefixKey(keyPrefixEnd),
      at,
      reverse: false,
    });
    try {
      for (;;) {
        const next = iterator.next();
        const record = next instanceof Promise ? await next : next;
        if (record === undefined) return sum.describe();
        sum.add(checksumOf(record.key, record.version, record.value));
      }
    } finally {
      iterator.close();
    }
  } catch {
    return undefined;
  }
}
