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
import { assert } from '../base/assert.js';
import { ByteReader, ByteWriter } from '../base/coding.js';
import { QuorateError } from '../base/errors.js';
import { LogIndex, Timestamp, timestampMax } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import { TreeBatch } from '../lsm/tree-batch.js';
import type { Engine, EngineEntry, EngineIterator, EngineRange, EngineReader } from './engine.js';
import { descriptorKey, keyPrefix, maxVersionKey, prefixKey, userKey } from './keyspace.js';
import type { VersionedValue } from './operations.js';
import { scanPage, type ScanResult, type ScanSpec } from './scan.js';
import { decodeWriteBatch } from './write-batch-reader.js';

export interface StateMachineOptions {
  /** Versions that a newer one replaced stay readable at least this long, by the shard's timestamps. */
  readonly versionRetentionMs: number;
}

interface StoredState {
  readonly descriptor: Uint8Array;
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
  readonly #retentionMicros: number;
  readonly #descriptor: Uint8Array;
  #maxVersion: Timestamp;
  #safePoint: Timestamp;
  /** The engine may have this safe point as soon as `index` is durable. */
  #mark: { readonly index: LogIndex; readonly safePoint: Timestamp };

  private constructor(engine: Engine, stored: StoredState, options: StateMachineOptions) {
    this.#engine = engine;
    this.#retentionMicros = options.versionRetentionMs * 1000;
    this.#descriptor = stored.descriptor;
    this.#maxVersion = stored.maxVersion;
    this.#safePoint = stored.safePoint;
    this.#mark = { index: engine.appliedIndex, safePoint: stored.safePoint };
  }

  /** Makes a new, empty shard, at {@link initialIndex}, in an empty engine; durable when it resolves. */
  static async create(engine: Engine, descriptor: Uint8Array, options: StateMachineOptions): Promise<StateMachine> {
    assert(engine.appliedIndex === 0, `the engine has applied entries up to ${engine.appliedIndex}`);
    engine.write(new TreeBatch().put(descriptorKey, initialVersion, descriptor), initialIndex);
    await engine.flush();
    return new StateMachine(engine, { descriptor, maxVersion: Timestamp(0), safePoint: Timestamp(0) }, options);
  }

  /** Undefined when the engine holds no shard: `create` has not come to its end. */
  static async open(engine: Engine, options: StateMachineOptions): Promise<StateMachine | undefined> {
    const descriptor = await engine.get(descriptorKey, timestampMax);
    if (descriptor === undefined) {
      assert(engine.appliedIndex === 0, `entries up to ${engine.appliedIndex} were applied without a descriptor`);
      return undefined;
    }
    const newest = await engine.get(maxVersionKey, timestampMax);
    const maxVersion = newest?.version ?? Timestamp(0);
    const safePoint = newest === undefined ? Timestamp(0) : decodeSafePoint(newest.value);
    return new StateMachine(engine, { descriptor: descriptor.value, maxVersion, safePoint }, options);
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
    const safePoint = Timestamp(Math.max(this.#safePoint, version - this.#retentionMicros));
    changes.put(maxVersionKey, version, encodeSafePoint(safePoint));
    this.#engine.write(changes, index);
    this.#maxVersion = version;
    this.#safePoint = safePoint;
    this.#moveEngineSafePoint(index);
  }

  /** The newest version at or below `at`. Throws, or rejects with, READ_TOO_OLD below the safe point. */
  read(key: Uint8Array, at: Timestamp): MaybePromise<VersionedValue | undefined> {
    this.#checkReadable(at);
    const found = this.#engine.get(userKey(key), at);
    return found instanceof Promise ? found.then(valueOf) : valueOf(found);
  }

  /** One page of user keys, consistent in itself. Rejects with READ_TOO_OLD below the safe point. */
  async scan(spec: ScanSpec): Promise<ScanResult> {
    this.#checkReadable(spec.at);
    // What is applied while the page is read has higher versions.
    const at = spec.at < this.#maxVersion ? spec.at : this.#maxVersion;
    return await scanPage(this.#engine, { ...spec, at });
  }

  /** For evaluation: any raw key, without the check of the safe point. */
  get(key: Uint8Array, at: Timestamp): MaybePromise<EngineEntry | undefined> {
    return this.#engine.get(key, at);
  }

  /** For evaluation, as `get`. */
  openIterator(range: EngineRange): EngineIterator {
    return this.#engine.openIterator(range);
  }

  /**
   * SHA-256, in hex, of everything that is visible now. Equal on all replicas of the shard at one applied index,
   * whatever each has flushed and compacted. Reads the whole shard: for tests and verification.
   */
  async stateHash(): Promise<string> {
    const hash = createHash('sha256');
    const framed = new ByteWriter();
    framed.bytes(this.#descriptor).varint(this.#maxVersion);
    const iterator = this.#engine.openIterator({
      lower: prefixKey(keyPrefix.user),
      upper: prefixKey(keyPrefix.requestTime + 1),
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
    const message = `a read at ${at} is below the safe point ${this.#safePoint} (versionRetentionMs)`;
    throw new QuorateError('READ_TOO_OLD', message);
  }
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
