import { assert } from '../base/assert.js';
import { copyBytes, mapKey } from '../base/bytes.js';
import { rowCacheBytesLimit } from '../base/limits.js';
import type { Found } from './entry.js';
import { bloomHash } from './sstable/bloom-filter.js';

/** What a row takes besides its key and value: its objects, its name, and its place in a map. Measured. */
const overheadBytes = 330;

/** Keys that were offered of late, by their hashes: a key of the same place takes the place of the one before. */
const offeredCount = 1 << 15;

/**
 * The newest versions of keys that are read often, for all trees of a node: one look into a map instead of a search in
 * memtables, filters, an index and a block. Each tree has a partition of its own and tells it what it writes.
 *
 * What was used since the last turn is in the young half, what was not in the old one. When the young half is full the
 * old one is dropped and they change places, so that nothing is moved but rows that are used again.
 */
export class RowCache {
  readonly #bytesMax: number;
  readonly #partitions = new Set<RowCachePartition>();
  #youngBytes = 0;
  #oldBytes = 0;
  readonly #offered = new Uint32Array(offeredCount);

  /** @param bytesMax 0 to keep nothing; at most `rowCacheBytesLimit` */
  constructor(bytesMax: number) {
    assert(bytesMax >= 0, `bytesMax must be at least 0, got ${bytesMax}`);
    assert(bytesMax <= rowCacheBytesLimit, `bytesMax must be at most ${rowCacheBytesLimit}, got ${bytesMax}`);
    this.#bytesMax = bytesMax;
  }

  /** Never above the maximum. */
  get bytes(): number {
    return this.#youngBytes + this.#oldBytes;
  }

  /** To be cleared when its tree is closed. */
  partition(): RowCachePartition {
    const partition: RowCachePartition = new RowCachePartition({
      hasRoom: this.#bytesMax > 0,
      wasOffered: (hash) => this.#wasOffered(hash),
      makeRoom: (bytes) => this.#makeRoom(bytes),
      onChange: (youngBytes, oldBytes) => {
        this.#youngBytes += youngBytes;
        this.#oldBytes += oldBytes;
        if (partition.size === 0) this.#partitions.delete(partition);
        else this.#partitions.add(partition);
      },
    });
    return partition;
  }

  #wasOffered(hash: number): boolean {
    const place = hash % offeredCount;
    if (this.#offered[place] === hash) return true;
    this.#offered[place] = hash;
    return false;
  }

  /** Makes the young half take so many bytes more; false if they are too many for it. */
  #makeRoom(bytes: number): boolean {
    const half = this.#bytesMax / 2;
    if (bytes > half) return false;
    if (this.#youngBytes + bytes > half) {
      this.#oldBytes = this.#youngBytes;
      this.#youngBytes = 0;
      for (const partition of [...this.#partitions]) partition.grow();
    }
    return true;
  }
}

interface Row {
  /** The key, as {@link mapKey} names it. */
  readonly name: string;
  readonly found: Found;
  readonly bytes: number;
}

interface PartitionEvents {
  /** Whether anything is kept at all. */
  readonly hasRoom: boolean;
  /** Whether the key with this hash was offered not long ago; it is now. */
  readonly wasOffered: (hash: number) => boolean;
  readonly makeRoom: (bytes: number) => boolean;
  /** By how much the halves have changed. */
  readonly onChange: (youngBytes: number, oldBytes: number) => void;
}

/**
 * The cached rows of one tree, by the hashes of their keys: to look for a key that is not there takes no more than its hash, where
 * a map of names would need the name. Of keys with the same hash the last one has the place.
 */
export class RowCachePartition {
  readonly #events: PartitionEvents;
  #hits = 0;
  #misses = 0;
  #young = new Map<number, Row>();
  #old = new Map<number, Row>();

  constructor(events: PartitionEvents) {
    this.#events = events;
  }

  /** Gets that were answered here. */
  get hits(): number {
    return this.#hits;
  }

  /** Gets that were not, and not by memtables alone either; none where nothing is kept. */
  get misses(): number {
    return this.#misses;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The newest version of the key, if it is here and at or below `at`. */
  get(key: Uint8Array, at: number): Found | undefined {
    const row = this.size === 0 ? undefined : this.#find(placeOf(key));
    if (row === undefined || row.found.version > at || !isName(row.name, key)) return undefined;
    this.#hits++;
    return row.found;
  }

  /** A get that found nothing here asked the tables. */
  noteMiss(): void {
    if (this.#events.hasRoom) this.#misses++;
  }

  #find(place: number): Row | undefined {
    return this.#young.get(place) ?? this.#rejuvenate(place);
  }

  #rejuvenate(place: number): Row | undefined {
    const row = this.#old.get(place);
    if (row === undefined) return undefined;
    this.#old.delete(place);
    this.#events.onChange(0, -row.bytes);
    if (this.#events.makeRoom(row.bytes)) this.#add(place, row);
    return row;
  }

  /**
   * As {@link insert}, if the key was offered before, and few others since: so reads that do not repeat themselves do not
   * pay for copies.
   */
  offer(key: Uint8Array, found: Found): void {
    if (this.#events.hasRoom && this.#events.wasOffered(bloomHash(key))) this.insert(key, found);
  }

  /** `found` must be the newest version that the tree has of the key; it is copied. */
  insert(key: Uint8Array, found: Found): void {
    const { version, kind, value } = found;
    this.remove(key);
    const bytes = overheadBytes + key.length + value.length;
    // Copied only where there is room.
    if (!this.#events.makeRoom(bytes)) return;
    this.#add(placeOf(key), { name: mapKey(key), found: { version, kind, value: copyBytes(value) }, bytes });
  }

  #add(place: number, row: Row): void {
    this.#young.set(place, row);
    this.#events.onChange(row.bytes, 0);
  }

  /** Another version of the key is written. What is in its place goes, whatever its key. */
  remove(key: Uint8Array): void {
    if (this.size === 0) return;
    const place = placeOf(key);
    for (const half of [this.#young, this.#old]) {
      const row = half.get(place);
      if (row === undefined) continue;
      half.delete(place);
      this.#events.onChange(half === this.#young ? -row.bytes : 0, half === this.#old ? -row.bytes : 0);
    }
  }

  clear(): void {
    const sum = (half: Map<number, Row>): number => [...half.values()].reduce((bytes, row) => bytes + row.bytes, 0);
    const [youngBytes, oldBytes] = [sum(this.#young), sum(this.#old)];
    this.#young.clear();
    this.#old.clear();
    this.#events.onChange(-youngBytes, -oldBytes);
  }

  /** The young half is the old one from now on, and what was old is gone; called for all partitions at once. */
  grow(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#events.onChange(0, 0);
  }
}

/** Of a key in the maps: its hash, as a number that the runtime keeps without memory of its own. */
function placeOf(key: Uint8Array): number {
  return bloomHash(key) | 0;
}

/** Whether `name` is {@link mapKey} of the key, which is not made for it. */
function isName(name: string, key: Uint8Array): boolean {
  if (name.length !== key.length) return false;
  for (let i = 0; i < key.length; i++) if (name.charCodeAt(i) !== key[i]) return false;
  return true;
}
