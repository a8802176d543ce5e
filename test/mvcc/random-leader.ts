/**
 * Drives an evaluator and a state machine through a random life of a leader, several entries in flight, and compares
 * every answer with the sequential model: retries of request ids at any moment, also when a condition that was false
 * has become true, reuse of ids, entries that Raft
 * refuses, lost leadership with a part of what was in flight, timestamps that go back, time that passes.
 */
import { expect } from 'vitest';
import { compareBytes, fromUtf8, mapKey, toHex, utf8 } from '../../src/base/bytes.js';
import { LogIndex, Timestamp, timestampMax } from '../../src/base/ids.js';
import type { Prng } from '../../src/base/prng.js';
import type { Engine, EngineRecord } from '../../src/mvcc/engine.js';
import { Evaluator } from '../../src/mvcc/evaluator.js';
import {
  decodeBucketList,
  decodeRequestTimeKey,
  keyPrefix,
  prefixKey,
  requestsPerBucket,
} from '../../src/mvcc/keyspace.js';
import type { AtomicOperation, Condition, WriteOperation } from '../../src/mvcc/operations.js';
import { RequestBucket } from '../../src/mvcc/request-records.js';
import type { StateMachine } from '../../src/mvcc/state-machine.js';
import { decodeWriteBatch } from '../../src/mvcc/write-batch-reader.js';
import { plain, plainValue, SequentialModel, type PlainResult } from './sequential-model.js';

const userKeys = ['a', 'b', 'ba', 'c', 'd'];
const requestIdRetentionMs = 4;
export const retention = 3000;

interface InFlight {
  readonly batch: Uint8Array;
  readonly ticket: number;
  /** What the shard must be when the entry is applied. */
  readonly after: SequentialModel;
}

export class RandomLeader {
  readonly #random: Prng;
  readonly #evaluator: Evaluator;
  readonly #inFlight: InFlight[] = [];
  readonly #sent: WriteOperation[] = [];
  /** State with everything in flight. */
  #pending = new SequentialModel();
  /** State as applied. */
  #applied = new SequentialModel();
  #clock = 10_000;
  #seq = 0;
  /** What was applied, for a follower to apply as well. */
  readonly entries: Uint8Array[] = [];
  readonly machine: StateMachine;
  readonly #engine: Engine;
  forgotten = 0;
  retried = 0;
  /** Requests that were refused before, sent again when they would not be refused any more. */
  refusedStill = 0;

  constructor(random: Prng, engine: Engine, machine: StateMachine) {
    this.#random = random;
    this.#engine = engine;
    this.machine = machine;
    this.#evaluator = new Evaluator(engine, { requestIdRetentionMs });
  }

  async step(): Promise<void> {
    const random = this.#random;
    const dice = random.float();
    if (dice < 0.5) await this.#propose();
    else if (dice < 0.8) this.#apply(random.int(1, 3));
    else if (dice < 0.83) this.#loseLeadership();
    else if (dice < 0.88) this.#clock += random.int(0, 3000);
    else if (dice < 0.95) await this.#read();
    else await this.#scan();
  }

  async finish(): Promise<void> {
    this.#apply(Infinity);
    expect(this.#evaluator.entriesInFlight).toBe(0);
    for (const key of this.#applied.versions.keys()) {
      const found = await this.machine.read(utf8(key), timestampMax);
      expect(plainValue(found)).toEqual(this.#applied.read(key, Infinity));
    }
    await this.#checkRecords();
  }

  async #propose(): Promise<void> {
    const operations = Array.from({ length: this.#random.int(1, 5) }, () => this.#operation());
    const preparing = this.#evaluator.prepare(operations);
    // Entries may be applied while reads are under way.
    if (this.#random.chance(0.3)) this.#apply(1);
    const prepared = await preparing;
    if (this.#random.chance(0.1)) this.#apply(1);
    if (this.#random.chance(0.05)) return;

    const back = this.#random.chance(0.05) ? this.#random.int(1, 4) : 0;
    const first = Timestamp(Math.max(1, (back > 0 ? this.#pending.lastVersion + 1 : this.#clock) - back));
    this.#clock = Math.max(this.#clock, first + operations.length) + this.#random.int(0, 40);
    const after = this.#pending.clone();
    const expected = operations.map((operation, i) => {
      if (after.isRefusedStill(operation)) this.refusedStill++;
      return after.execute(operation, Timestamp(first + i));
    });
    const { batch, ticket, results } = this.#evaluator.evaluate(operations, prepared, first);
    results.forEach((result, i) => this.#checkResult(operations[i], plain(result), expected[i]));
    expect(batch === undefined).toBe(results.every(({ type }) => type === 'failed'));
    if (batch === undefined) return;
    if (this.#random.chance(0.1)) {
      this.#evaluator.withdraw(ticket);
      this.#pending.lastVersion = after.lastVersion;
      return;
    }
    this.#forget(batch, after);
    this.#sent.push(...operations);
    this.#inFlight.push({ batch, ticket, after });
    this.#pending = after;
  }

  /** The answer of the model, unless what it tells of was replaced below the safe point: then it may be gone. */
  #checkResult(operation: WriteOperation, result: PlainResult, expected: PlainResult): void {
    if (result.type !== 'failed' || result.code !== 'READ_TOO_OLD') {
      expect(result).toEqual(expected);
      return;
    }
    const met = (key: Uint8Array, version: number | undefined): boolean => {
      const kept = (this.#applied.versions.get(mapKey(key)) ?? [])
        .filter(({ version }) => version <= this.machine.safePoint)
        .at(-1);
      return version !== undefined && version < (kept?.version ?? 0);
    };
    if (operation.type === 'atomicBatch') {
      const failures = expected.type === 'conditionsFailed' ? expected.failures : [];
      expect(failures.some(({ index, current }) => met(operation.operations[index].key, current?.version))).toBe(true);
    } else {
      const current = expected.type === 'conditionFailed' ? expected.current : undefined;
      expect(met(operation.key, current?.version)).toBe(true);
    }
  }

  /** Which records an entry forgets is the evaluator's choice; that they are old enough is not. */
  #forget(batch: Uint8Array, after: SequentialModel): void {
    const newest = after.lastVersion;
    decodeWriteBatch(batch, {
      put: () => undefined,
      delete: (key) => {
        if (key[0] !== keyPrefix.requestBucket) return;
        for (const name of requestsOf(key)) {
          const request = after.requests.get(name);
          if (request === undefined) continue;
          expect(request.version).toBeLessThan(newest - requestIdRetentionMs * 1000);
          after.requests.delete(name);
          this.forgotten++;
        }
      },
    });
  }

  #apply(count: number): void {
    for (const { batch, ticket, after } of this.#inFlight.splice(0, count)) {
      this.#applyEntry(batch, after);
      this.#evaluator.applied(ticket);
    }
  }

  #applyEntry(batch: Uint8Array, after: SequentialModel): void {
    this.entries.push(batch);
    this.machine.apply(LogIndex(this.machine.appliedIndex + 1), batch);
    this.#applied = after;
  }

  /** Another leader kept a part of what was in flight, and gave the leadership back. */
  #loseLeadership(): void {
    this.#evaluator.reset();
    const survivors = this.#inFlight.splice(0).slice(0, this.#random.int(0, 3));
    for (const { batch, ticket, after } of survivors) {
      this.#applyEntry(batch, after);
      this.#evaluator.applied(ticket);
    }
    this.#applyEntry(new Uint8Array(0), this.#applied);
    this.#pending = this.#applied.clone();
    this.#pending.lastVersion = this.machine.maxVersion;
  }

  async #read(): Promise<void> {
    const at = Timestamp(this.#random.int(this.machine.safePoint, this.machine.maxVersion + 10));
    const key = this.#key();
    expect(plainValue(await this.machine.read(key, at))).toEqual(this.#applied.read(mapKey(key), at));
  }

  /** All pages of a random range. */
  async #scan(): Promise<void> {
    const at = Timestamp(this.#random.int(this.machine.safePoint, this.machine.maxVersion + 10));
    const bounds = [this.#key(), this.#key()].sort(compareBytes);
    let [start, end] = [
      this.#random.chance(0.3) ? utf8('') : bounds[0],
      this.#random.chance(0.3) ? utf8('') : bounds[1],
    ];
    const [reverse, keysOnly] = [this.#random.chance(0.5), this.#random.chance(0.3)];
    const [bytesMax, recordsMax] = [this.#random.int(0, 12), this.#random.int(1, 4)];
    const expected = [...this.#applied.versions.keys()]
      .filter((key) => compareBytes(start, utf8(key)) <= 0 && (end.length === 0 || compareBytes(utf8(key), end) < 0))
      .sort()
      .flatMap((key) => {
        const found = this.#applied.read(key, at);
        return found === undefined ? [] : [{ key, version: found.version, value: keysOnly ? '' : found.value }];
      });
    if (reverse) expected.reverse();

    const met = [];
    for (;;) {
      const page = await this.machine.scan({ start, end, at, reverse, keysOnly, bytesMax, recordsMax });
      const records = page.records.map(({ key, version, value }) => ({
        key: mapKey(key),
        version,
        value: mapKey(value),
      }));
      met.push(...records);
      const bytes = records.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
      expect(records.length === 1 || bytes <= bytesMax).toBe(records.length > 0 || page.resume === undefined);
      expect(records.length).toBeLessThanOrEqual(recordsMax);
      if (page.resume === undefined) break;
      expect(records.length).toBeGreaterThan(0);
      if (reverse) end = page.resume;
      else start = page.resume;
    }
    expect(met).toEqual(expected);
  }

  /** The stored request records are those of the model, and every bucket has an entry by time of its version. */
  async #checkRecords(): Promise<void> {
    const stored = new Map<string, number>();
    const versions = new Map<string, number>();
    const refusedBatches: string[] = [];
    for (const { key, version, value } of await this.#list(keyPrefix.requestBucket)) {
      const bucket = new RequestBucket(value);
      for (const [position, name] of requestsOf(key).entries()) {
        const record = bucket.find(position);
        if (record !== undefined) stored.set(name, record.version);
      }
      refusedBatches.push(...bucket.refusedBatches.map((position) => requestsOf(key)[position]));
      versions.set(toHex(key), version);
    }
    expect(stored).toEqual(new Map([...this.#applied.requests].map(([name, { version }]) => [name, version])));
    const besides = await this.#list(keyPrefix.failedConditions);
    expect(besides.map(({ key }) => requestOf(key)).sort()).toEqual(refusedBatches.sort());
    for (const { key, value } of await this.#list(keyPrefix.requestTime)) {
      const time = decodeRequestTimeKey(key);
      for (const bucket of decodeBucketList(value).map(toHex)) {
        if (versions.get(bucket) === time) versions.delete(bucket);
        else expect(versions.get(bucket) ?? Infinity).toBeGreaterThan(time);
      }
    }
    expect([...versions]).toEqual([]);
  }

  async #list(prefix: number): Promise<EngineRecord[]> {
    const [lower, upper] = [prefixKey(prefix), prefixKey(prefix + 1)];
    const iterator = this.#engine.openIterator({ lower, upper, at: timestampMax, reverse: false });
    const found = [];
    for (let next = await iterator.next(); next !== undefined; next = await iterator.next()) found.push(next);
    iterator.close();
    return found;
  }

  #operation(): WriteOperation {
    const random = this.#random;
    if (this.#sent.length > 0 && random.chance(0.2)) {
      this.retried++;
      const recent = random.chance(0.5) ? this.#sent.slice(-8) : this.#sent;
      return random.pick(recent);
    }
    if (random.chance(0.1)) {
      const refused = this.#sent.filter((operation) => this.#pending.isRefusedStill(operation));
      if (refused.length > 0) return random.pick(refused);
    }
    const reused = this.#sent.length > 0 && random.chance(0.03);
    const requestId = reused
      ? random.pick(this.#sent).requestId
      : { session: new Uint8Array(16).fill(random.int(1, 2)), seq: this.#seq++ };
    if (random.chance(0.3)) {
      const keys = random.shuffle([...userKeys]).slice(0, random.int(1, 3));
      return { type: 'atomicBatch', operations: keys.map((key) => this.#atomicOperation(utf8(key))), requestId };
    }
    const key = this.#key();
    const condition = this.#condition(key);
    if (random.chance(0.3)) return { type: 'delete', key, condition, requestId };
    return { type: 'put', key, value: this.#value(), condition, requestId };
  }

  #atomicOperation(key: Uint8Array): AtomicOperation {
    const condition = this.#condition(key);
    switch (this.#random.int(0, 3)) {
      case 0:
        return { type: 'delete', key, condition };
      case 1:
        return { type: 'check', key, condition };
      default:
        return { type: 'put', key, value: this.#value(), condition };
    }
  }

  #key(): Uint8Array {
    return utf8(this.#random.pick(userKeys));
  }

  #value(): Uint8Array {
    return utf8(this.#random.pick(['', 'x', 'yy', 'zzzz']));
  }

  #condition(key: Uint8Array): Condition {
    const current = this.#pending.read(fromUtf8(key), Infinity);
    switch (this.#random.int(0, 5)) {
      case 0:
        return { type: 'absent' };
      case 1:
        return { type: 'versionEquals', version: current?.version ?? Timestamp(1) };
      case 2:
        return { type: 'valueEquals', value: current === undefined ? this.#value() : utf8(current.value) };
      case 3:
        return { type: 'valueEquals', value: this.#value() };
      default:
        return { type: 'none' };
    }
  }
}

/** The name in the model of the request whose failed conditions these are. */
function requestOf(failedConditionsKey: Uint8Array): string {
  return `${toHex(failedConditionsKey.subarray(1, 17))}/${Number(`0x${toHex(failedConditionsKey.subarray(17))}`)}`;
}

/** Names in the model of the requests that a bucket can have, by their position. */
function requestsOf(bucketKey: Uint8Array): string[] {
  const first = Number(`0x${toHex(bucketKey.subarray(17))}`) * requestsPerBucket;
  return Array.from({ length: requestsPerBucket }, (_, i) => `${toHex(bucketKey.subarray(1, 17))}/${first + i}`);
}
