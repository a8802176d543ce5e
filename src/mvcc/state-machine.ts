/**
 * The replicated state of one shard: what its committed entries add up to.
 *
 * Invariants
 * - Data, request records, highest version and applied index change in one atomic batch of the engine, so that a
 *   crash leaves the state after some entry, whole (pitfall 5).
 * - Applying looks at nothing but the entry: equal entries give equal states (pitfall 24).
 * - Versions grow from entry to entry.
 * - The safe point never goes back, and the engine is given only one that is durable. Otherwise a replica that
 *   restarts, without what was not flushed or with another retention, would serve reads of versions that are gone.
 */
import { createHash } from 'node:crypto';
import { assert, defined } from '../base/assert.js';
import { emptyBytes } from '../base/bytes.js';
import { ByteReader, ByteWriter } from '../base/coding.js';
import { QuorateError } from '../base/errors.js';
import { LogIndex, Timestamp, timestampMax } from '../base/ids.js';
import { deferred, type MaybePromise } from '../base/promises.js';
import { TreeBatch } from '../lsm/tree-batch.js';
import type { Engine, EngineEntry, EngineIterator, EngineRange, EngineReader } from './engine.js';
import { descriptorKey, keyPrefix, keyPrefixEnd, maxVersionKey, prefixKey, userKey } from './keyspace.js';
import type { VersionedValue } from './operations.js';
import { scanPage, type ScanResult, type ScanSpec } from './scan.js';
import { decodeWriteBatch } from './write-batch-reader.js';

export interface StateMachineOptions {
  /**
   * What a newer version has replaced stays readable up to so much below the highest one: as versions are counted, for timestamps in
   * microseconds.
   */
  readonly retention: number;
}

interface StoredState {
  readonly descriptor: Uint8Array;
  readonly descriptorVersion: Timestamp;
  readonly maxVersion: Timestamp;
  readonly safePoint: Timestamp;
}

/**
 * What a new shard holds counts as its first entry, of term 0, which no log has: the log of a new group begins after
 * it. So a replica that begins with nothing cannot be brought up by entries alone, which would leave out what was
 * there before the first of them; it needs a Raft snapshot.
 */
export const initialIndex = LogIndex(1);

/** Version of what a shard has before its first write; below every timestamp that is issued. */
const initialVersion = Timestamp(1);

export class StateMachine implements EngineReader {
  readonly #engine: Engine;
  readonly #retention: number;
  #descriptor: Uint8Array;
  /** Under which it is stored. */
  #descriptorVersion: Timestamp;
  #maxVersion: Timestamp;
  #safePoint: Timestamp;
  /** The engine may have this safe point as soon as `index` is durable. */
  #mark: { readonly index: LogIndex; readonly safePoint: Timestamp };
  /** Another state takes the place of this one: reads wait for the end. */
  #replacing: Promise<void> | undefined;
  /** Those that wait for the engine. */
  readonly #reads = new Set<Promise<unknown>>();

  private constructor(engine: Engine, stored: StoredState, options: StateMachineOptions) {
    this.#engine = engine;
    this.#retention = options.retention;
    this.#descriptor = stored.descriptor;
    this.#descriptorVersion = stored.descriptorVersion;
    this.#maxVersion = stored.maxVersion;
    this.#safePoint = stored.safePoint;
    this.#mark = { index: engine.appliedIndex, safePoint: stored.safePoint };
  }

  /** Makes a new, empty shard, at {@link initialIndex}, in an empty engine; durable when it resolves. */
  static async create(engine: Engine, descriptor: Uint8Array, options: StateMachineOptions): Promise<StateMachine> {
    assert(engine.appliedIndex === 0, `the engine has applied entries up to ${engine.appliedIndex}`);
    engine.write(new TreeBatch().put(descriptorKey, initialVersion, descriptor), initialIndex);
    await engine.flush();
    const none = { maxVersion: Timestamp(0), safePoint: Timestamp(0) };
    return new StateMachine(engine, { descriptor, descriptorVersion: initialVersion, ...none }, options);
  }

  /** Of a replica that has no data yet, in an empty engine: until {@link replaceState} it has applied nothing. */
  static unfilled(engine: Engine, options: StateMachineOptions): StateMachine {
    assert(engine.appliedIndex === 0, `the engine has applied entries up to ${engine.appliedIndex}`);
    const none = { maxVersion: Timestamp(0), safePoint: Timestamp(0) };
    return new StateMachine(engine, { descriptor: emptyBytes, descriptorVersion: initialVersion, ...none }, options);
  }

  /** Undefined when the engine holds no shard: `create` has not come to its end. */
  static async open(engine: Engine, options: StateMachineOptions): Promise<StateMachine | undefined> {
    const stored = await loadStored(engine);
    return stored === undefined ? undefined : new StateMachine(engine, stored, options);
  }

  /**
   * `replace` has another, later state of the shard take the place of what the engine has; this goes on with that. Nothing
   * is applied or evaluated meanwhile. Reads under way end first, others wait.
   */
  async replaceState(replace: () => Promise<void>): Promise<void> {
    assert(this.#replacing === undefined, 'the state is replaced already');
    this.#replacing = this.#readsEnded().then(() => this.#replaceState(replace));
    // Whoever waits to read learns of a failure, too; it may be nobody.
    this.#replacing.catch(() => undefined);
    await this.#replacing.finally(() => (this.#replacing = undefined));
  }

  async #readsEnded(): Promise<void> {
    while (this.#reads.size > 0) await Promise.allSettled(this.#reads);
  }

  /** Notes that the read is under way, until it has ended. */
  #noted<T>(read: Promise<T>): Promise<T> {
    this.#reads.add(read);
    const ended = (): void => void this.#reads.delete(read);
    read.then(ended, ended);
    return read;
  }

  async #replaceState(replace: () => Promise<void>): Promise<void> {
    await replace();
    const stored = defined(await loadStored(this.#engine), 'the descriptor of a shard');
    assert(
      stored.maxVersion >= this.#maxVersion,
      `version ${stored.maxVersion} takes the place of ${this.#maxVersion}`,
    );
    this.#descriptor = stored.descriptor;
    this.#descriptorVersion = stored.descriptorVersion;
    this.#maxVersion = stored.maxVersion;
    this.#safePoint = Timestamp(Math.max(this.#safePoint, stored.safePoint));
    this.#mark = { index: this.#engine.appliedIndex, safePoint: this.#safePoint };
  }

  get descriptor(): Uint8Array {
    return this.#descriptor;
  }

  get appliedIndex(): LogIndex {
    return this.#engine.appliedIndex;
  }

  /** The highest version of the shard; 0 before its first write. */
  get maxVersion(): Timestamp {
    return this.#maxVersion;
  }

  /** Reads below it are refused: highest version less the retention, never going back. */
  get safePoint(): Timestamp {
    return this.#safePoint;
  }

  /**
   * Applies the next committed entry; `batch` is empty when the entry changes nothing. Throws a DecodeError, and
   * changes nothing, where the bytes are not a write batch.
   */
  apply(index: LogIndex, batch: Uint8Array): void {
    assert(index === this.appliedIndex + 1, `entry ${index} is applied after entry ${this.appliedIndex}`);
    const changes = new TreeBatch();
    const version = batch.length === 0 ? Timestamp(0) : decodeWriteBatch(batch, changes);
    if (version === 0) {
      this.#engine.write(changes, index);
      return;
    }
    assert(version > this.#maxVersion, `entry ${index} writes ${version}, the shard has ${this.#maxVersion}`);
    const safePoint = Timestamp(Math.max(this.#safePoint, version - this.#retention));
    changes.put(maxVersionKey, version, encodeSafePoint(safePoint));
    this.#engine.write(changes, index);
    this.#maxVersion = version;
    this.#safePoint = safePoint;
    this.#moveEngineSafePoint(index);
  }

  /** Applies the next committed entry, which changes nothing but the descriptor. Keeps the bytes. */
  applyDescriptor(index: LogIndex, descriptor: Uint8Array): void {
    assert(index === this.appliedIndex + 1, `entry ${index} is applied after entry ${this.appliedIndex}`);
    // Above the last one, and above the engine's safe point, which is at most the highest version.
    const version = Timestamp(Math.max(this.#descriptorVersion, this.#maxVersion) + 1);
    this.#engine.write(new TreeBatch().put(descriptorKey, version, descriptor), index);
    this.#descriptor = descriptor;
    this.#descriptorVersion = version;
  }

  /** The newest version at or below `at`. Throws, or rejects with, READ_TOO_OLD below the safe point. */
  read(key: Uint8Array, at: Timestamp): MaybePromise<VersionedValue | undefined> {
    if (this.#replacing !== undefined) return this.#replacing.then(() => this.read(key, at));
    this.#checkReadable(at);
    const found = this.#engine.get(userKey(key), at);
    return found instanceof Promise ? this.#noted(found.then(valueOf)) : valueOf(found);
  }

  /** One page of user keys, consistent in itself. Rejects with READ_TOO_OLD below the safe point. */
  async scan(spec: ScanSpec): Promise<ScanResult> {
    while (this.#replacing !== undefined) await this.#replacing;
    this.#checkReadable(spec.at);
    // What is applied while the page is read has higher versions.
    const at = spec.at < this.#maxVersion ? spec.at : this.#maxVersion;
    return await this.#noted(scanPage(this.#engine, { ...spec, at }));
  }

  /** For evaluation: any raw key, without the check of the safe point. */
  get(key: Uint8Array, at: Timestamp): MaybePromise<EngineEntry | undefined> {
    if (this.#replacing !== undefined) return this.#replacing.then(() => this.get(key, at));
    const found = this.#engine.get(key, at);
    return found instanceof Promise ? this.#noted(found) : found;
  }

  /** For evaluation, as `get`. Throws NOT_LEADER while the state is replaced, which happens to followers alone. */
  openIterator(range: EngineRange): EngineIterator {
    if (this.#replacing !== undefined) throw new QuorateError('NOT_LEADER', 'a Raft snapshot is put in place');
    const iterator = this.#engine.openIterator(range);
    const closed = deferred<void>();
    void this.#noted(closed.promise);
    return {
      next: () => iterator.next(),
      close: () => {
        iterator.close();
        closed.resolve();
      },
    };
  }

  /**
   * SHA-256, in hex, of everything that is visible now. Equal on all replicas of the shard at one applied index,
   * whatever each has flushed and compacted. Reads the whole shard: for tests and verification.
   */
  async stateHash(): Promise<string> {
    while (this.#replacing !== undefined) await this.#replacing;
    return await this.#noted(this.#hash());
  }

  async #hash(): Promise<string> {
    const hash = createHash('sha256');
    const framed = new ByteWriter();
    framed.bytes(this.#descriptor).varint(this.#maxVersion);
    const iterator = this.#engine.openIterator({
      lower: prefixKey(keyPrefix.user),
      upper: prefixKey(keyPrefixEnd),
      at: this.#maxVersion,
      reverse: false,
    });
    try {
      for (;;) {
        hash.update(framed.view());
        framed.reset();
        const next = iterator.next();
        const record = next instanceof Promise ? await next : next;
        if (record === undefined) return hash.digest('hex');
        framed.bytes(record.key).varint(record.version).bytes(record.value);
      }
    } finally {
      iterator.close();
    }
  }

  #moveEngineSafePoint(index: LogIndex): void {
    if (this.#engine.durableAppliedIndex < this.#mark.index) return;
    this.#engine.setSafePoint(this.#mark.safePoint);
    this.#mark = { index, safePoint: this.#safePoint };
  }

  #checkReadable(at: Timestamp): void {
    if (at >= this.#safePoint) return;
    const message = `a read at ${at} is below the safe point ${this.#safePoint}`;
    throw new QuorateError('READ_TOO_OLD', message);
  }
}

/** Undefined where nothing was ever written. */
async function loadStored(engine: Engine): Promise<StoredState | undefined> {
  const descriptor = await engine.get(descriptorKey, timestampMax);
  if (descriptor === undefined) {
    assert(engine.appliedIndex === 0, `entries up to ${engine.appliedIndex} were applied without a descriptor`);
    return undefined;
  }
  const newest = await engine.get(maxVersionKey, timestampMax);
  const maxVersion = newest?.version ?? Timestamp(0);
  const safePoint = newest === undefined ? Timestamp(0) : decodeSafePoint(newest.value);
  return { descriptor: descriptor.value, descriptorVersion: descriptor.version, maxVersion, safePoint };
}

function valueOf(entry: EngineEntry | undefined): VersionedValue | undefined {
  if (entry === undefined || entry.kind === 'delete') return undefined;
  return { version: entry.version, value: entry.value };
}

function encodeSafePoint(safePoint: Timestamp): Uint8Array {
  return new ByteWriter(8).u53(safePoint).finish();
}

function decodeSafePoint(value: Uint8Array): Timestamp {
  return Timestamp(new ByteReader(value).u53());
}
