import type { Prng } from '../base/prng.js';

/** What a device writes whole or not at all. */
export const sectorBytes = 512;

type PendingChange =
  | { readonly type: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: 'truncate'; readonly length: number };

/** Bytes that can grow; what lies between the old end and a write behind it is zero, as in a sparse file. */
class GrowableBytes {
  #buffer = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  write(bytes: Uint8Array, offset: number): void {
    if (offset + bytes.length > this.#length) this.resize(offset + bytes.length);
    this.#buffer.set(bytes, offset);
  }

  resize(length: number): void {
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#buffer.length, 256));
      grown.set(this.bytes);
      this.#buffer = grown;
    } else if (length < this.#length) {
      this.#buffer.fill(0, length, this.#length);
    }
    this.#length = length;
  }

  clone(): GrowableBytes {
    const copy = new GrowableBytes();
    copy.#buffer = this.bytes.slice();
    copy.#length = this.#length;
    return copy;
  }
}

/**
 * The content of one file: what the operating system shows (`current`), what a power loss surely leaves (`durable`),
 * and the changes that lead from one to the other.
 *
 * Invariant: `durable` with all pending changes applied in order is `current`, unless a sync failed: the changes that
 * it was to make durable are then `current`, and a power loss takes them although later syncs succeed.
 */
export class FileState {
  readonly type = 'file';
  #current = new GrowableBytes();
  #durable = new GrowableBytes();
  #pending: PendingChange[] = [];
  /** Numbers of the sectors that the medium gives back no more, until they are written. */
  readonly #unreadable = new Set<number>();
  /** Changes that left `#pending` since the beginning: makes a place in the list that stays valid. */
  #settledCount = 0;

  get length(): number {
    return this.#current.length;
  }

  /** What readers see. A view: do not keep it. */
  get content(): Uint8Array {
    return this.#current.bytes;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  write(bytes: Uint8Array, offset: number): void {
    if (bytes.length === 0) return;
    this.#current.write(bytes, offset);
    for (const sector of this.#unreadable) {
      if (sector * sectorBytes >= offset && (sector + 1) * sectorBytes <= offset + bytes.length)
        this.#unreadable.delete(sector);
    }
    this.#pending.push({ type: 'write', offset, bytes: bytes.slice() });
  }

  truncate(length: number): void {
    this.#current.resize(length);
    this.#pending.push({ type: 'truncate', length });
  }

  /** All changes up to now: what a sync that begins now must make durable. */
  syncMark(): number {
    return this.#settledCount + this.#pending.length;
  }

  sync(mark: number): void {
    for (const change of this.#settle(mark)) apply(this.#durable, change);
  }

  /** A sync failed: the operating system takes the changes for written, though they are not. */
  failSync(mark: number): void {
    this.#settle(mark);
  }

  /** Changes what is stored, behind the back of everyone: as a damaged medium does. */
  damage(offset: number, change: (byte: number) => number): void {
    for (const { bytes } of [this.#current, this.#durable]) {
      if (offset < bytes.length) bytes[offset] = change(bytes[offset]);
    }
  }

  /** The sector around `offset` cannot be read any more. */
  loseSector(offset: number): void {
    this.#unreadable.add(Math.floor(offset / sectorBytes));
  }

  canRead(offset: number, length: number): boolean {
    for (const sector of this.#unreadable) {
      if (sector * sectorBytes < offset + length && (sector + 1) * sectorBytes > offset) return false;
    }
    return true;
  }

  /** @param random keeps a random part of what is pending; without it nothing pending survives. */
  losePower(random: Prng | undefined): void {
    const pending = this.#settle(this.syncMark());
    if (random !== undefined && pending.length > 0) keepSome(this.#durable, pending, random);
    this.#current = this.#durable.clone();
  }

  clone(): FileState {
    const copy = new FileState();
    copy.#current = this.#current.clone();
    copy.#durable = this.#durable.clone();
    copy.#pending = [...this.#pending];
    copy.#settledCount = this.#settledCount;
    for (const sector of this.#unreadable) copy.#unreadable.add(sector);
    return copy;
  }

  #settle(mark: number): PendingChange[] {
    const settled = this.#pending.splice(0, Math.max(0, mark - this.#settledCount));
    this.#settledCount += settled.length;
    return settled;
  }
}

function apply(target: GrowableBytes, change: PendingChange): void {
  if (change.type === 'write') target.write(change.bytes, change.offset);
  else target.resize(change.length);
}

function keepSome(durable: GrowableBytes, pending: readonly PendingChange[], random: Prng): void {
  switch (random.pick(['none', 'all', 'prefix', 'sectors', 'sectors'] as const)) {
    case 'none':
      return;
    case 'all':
      for (const change of pending) apply(durable, change);
      return;
    case 'prefix':
      for (const change of pending.slice(0, random.int(0, pending.length))) apply(durable, change);
      return;
    case 'sectors':
      keepSectors(durable, pending, random);
  }
}

/**
 * Every sector has the content that it had after some of the changes, whichever, independently of the other sectors:
 * so within one sector a later change never survives without an earlier one. The length is one that the file had;
 * where it was written and the data was not, zeros are read.
 */
function keepSectors(durable: GrowableBytes, pending: readonly PendingChange[], random: Prng): void {
  const keepChance = random.pick([0.1, 0.5, 0.9]);
  const cache = durable.clone();
  const lengths = [cache.length];
  const closedSectors = new Set<number>();
  for (const change of pending) {
    const [from, end] =
      change.type === 'write'
        ? [change.offset, change.offset + change.bytes.length]
        : [Math.min(change.length, cache.length), cache.length];
    apply(cache, change);
    lengths.push(cache.length);
    for (let sector = Math.floor(from / sectorBytes); sector * sectorBytes < end; sector++) {
      if (!closedSectors.has(sector) && random.chance(keepChance)) {
        const content = new Uint8Array(sectorBytes);
        content.set(cache.bytes.subarray(sector * sectorBytes, (sector + 1) * sectorBytes));
        durable.write(content, sector * sectorBytes);
      } else {
        closedSectors.add(sector);
      }
    }
  }
  durable.resize(random.chance(0.5) ? cache.length : random.pick(lengths));
}
