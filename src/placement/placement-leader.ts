/**
 * The placement group's work, done by whichever node leads it: forms the cluster, keeps the node registry, issues
 * timestamps.
 *
 * Invariants
 * - Changes are decided on the applied state and committed one at a time; nothing else writes to the group.
 * - Timestamps are issued only where a quorum has shown that nobody else led when they were asked for: by a ReadIndex
 *   round that began afterwards, or by the asker's own voucher. A leader that was deposed before cannot issue one that
 *   is below what its successor has issued (docs/protocol/timestamps.md).
 */
import { QuorateError } from '../base/errors.js';
import { Timestamp, timestampEpochMs, type NodeId } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import { userKey } from '../mvcc/keyspace.js';
import type { Effect } from '../mvcc/write-batch-format.js';
import { encodeWriteBatch } from '../mvcc/write-batch-writer.js';
import { encodeDescriptor, nodeOf } from '../shard/descriptor.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { encodeEntry } from '../shard/entry-format.js';
import type { GroupDescriptor } from '../shard/group-descriptor.js';
import { LookupWatch } from '../shard/lookup-watch.js';
import type { ReadGate, Voucher } from '../shard/read-gate.js';
import type { Replica } from '../shard/replica.js';
import { membersReported } from './member-report.js';
import { Oracle } from './oracle.js';
import { registration } from './node-registry.js';
import { encodeHighWater, highWaterKey, shardKey } from './placement-format.js';
import type { NodeRecord, PlacementChange } from './placement-format.js';
import { loadPlacementState } from './placement-state.js';
import type { PlacementState } from './placement-state.js';

/** The placement group's replica on this node, as far as it is used here. */
export interface PlacementReplica extends Pick<
  Replica,
  | 'shard'
  | 'descriptor'
  | 'term'
  | 'isLeader'
  | 'isReadyLeader'
  | 'machine'
  | 'propose'
  | 'onLeadership'
  | 'transferLeadership'
> {
  readonly reads: Pick<ReadGate, 'request' | 'isVouchedBy'>;
}

export interface PlacementLeaderOptions {
  readonly replica: PlacementReplica;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the first leader of a new cluster writes. */
  readonly firstMap: readonly ShardDescriptor[];
}

/** A node that asks, with what its replica of the group says of itself. */
interface Asker {
  readonly from: NodeId;
  readonly voucher: Voucher | undefined;
}

interface TimestampRequest {
  readonly count: number;
  readonly resolve: (first: Timestamp) => void;
  readonly reject: (error: QuorateError) => void;
}

/** A term of this node as placement leader. Time passes by the monotonic clock, whatever the wall clock does. */
interface Reign {
  readonly oracle: Oracle;
  readonly wallMicrosAtStart: number;
  /** Up to where the committed high water had come; the wall clock in a new cluster. */
  readonly caughtUpMicrosAtStart: number;
  readonly monotonicMsAtStart: number;
  /** The raise of the high water that is under way: one at a time. */
  raise: Promise<void> | undefined;
}

const requestsMax = 10_000;
/** Between two tries to begin; doubles up to the maximum. */
const beginAgainMsMin = 50;
const beginAgainMsMax = 2000;

export class PlacementLeader {
  readonly #replica: PlacementReplica;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #firstMap: readonly ShardDescriptor[];
  readonly #lookups: LookupWatch;
  #reign: Reign | undefined;
  /** Ends of the changes under way; each waits for the one before. */
  #lastChange: Promise<void> = Promise.resolve();
  #requests: TimestampRequest[] = [];
  #issuing = false;

  constructor(options: PlacementLeaderOptions) {
    this.#replica = options.replica;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#firstMap = options.firstMap;
    this.#lookups = new LookupWatch(options);
    this.#replica.onLeadership((leading) => {
      if (!leading) this.#abdicate();
      else if (this.#reign === undefined) void this.#begin();
    });
  }

  /** Tries again, ever more slowly, for as long as this node leads in the term: nobody else would. */
  async #begin(): Promise<void> {
    const { term } = this.#replica;
    for (let waitMs = beginAgainMsMin; this.#leadsIn(term); waitMs = Math.min(waitMs * 2, beginAgainMsMax)) {
      try {
        await this.#beginReign(term);
        return;
      } catch (error) {
        this.#logger.warn('placement leader could not begin', { term, error: QuorateError.from(error).message });
      }
      await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
    }
  }

  async #beginReign(term: number): Promise<void> {
    const state = await this.#load();
    if (!this.#leadsIn(term)) return;
    const wallMicros = this.#clock.wallMicros();
    this.#reign ??= {
      oracle: new Oracle(state.highWater),
      wallMicrosAtStart: wallMicros,
      caughtUpMicrosAtStart: state.highWater === 0 ? wallMicros : timestampEpochMs * 1000 + state.highWater,
      monotonicMsAtStart: this.#clock.monotonicMs(),
      raise: undefined,
    };
    this.#issue();
    if (state.shardMap.shards.length === 0) await this.#formCluster();
  }

  #leadsIn(term: number): boolean {
    return this.#replica.term === term && this.#replica.isReadyLeader;
  }

  #abdicate(): void {
    this.#reign = undefined;
    const error = this.#notLeader();
    for (const request of this.#requests.splice(0)) request.reject(error);
  }

  #notLeader(): QuorateError {
    return new QuorateError('NOT_LEADER', 'this node does not lead the placement group', {
      shard: this.#replica.shard,
    });
  }

  async #formCluster(): Promise<void> {
    await this.#change((state) =>
      state.shardMap.shards.length > 0
        ? []
        : this.#firstMap.map((shard) => ({ key: shardKey(shard.shard), value: encodeDescriptor(shard) })),
    );
    this.#logger.info('formed the cluster', { shards: this.#firstMap.length });
  }

  /** Enters a node, or its new addresses, in the registry. Rejects with what {@link registration} throws, and with NOT_LEADER. */
  register(node: NodeRecord): Promise<void> {
    return this.#change((state) => registration(state, node));
  }

  /**
   * Commits what is decided on the applied state, with the placement group as it is. Rejects with what `decision` throws, and with
   * NOT_LEADER.
   */
  decide(decision: (state: PlacementState, placement: GroupDescriptor) => readonly PlacementChange[]): Promise<void> {
    return this.#change((state) => decision(state, this.#replica.descriptor));
  }

  /**
   * What a shard's leader has applied, or what an operator has just wanted. Rejects with what {@link membersReported} throws, and with
   * NOT_LEADER.
   */
  updateShard(descriptor: ShardDescriptor, isWanted: boolean): Promise<void> {
    return this.#change((state) => membersReported(state, descriptor, isWanted));
  }

  /** The first of `count` timestamps. Without a round if the node that asks vouches. Rejects with NOT_LEADER or OVERLOADED. */
  timestamps(count: number, by?: Asker): Promise<Timestamp> {
    if (!this.#replica.isLeader) return Promise.reject(this.#notLeader());
    const reign = this.#reign;
    if (reign !== undefined && by?.voucher !== undefined && this.#isVouchedBy(by.from, by.voucher)) {
      return this.#allocate(reign, count).catch((error: unknown) => {
        throw QuorateError.from(error, 'notApplied');
      });
    }
    if (this.#requests.length >= requestsMax) {
      return Promise.reject(new QuorateError('OVERLOADED', 'too many timestamp requests', { retryAfterMs: 20 }));
    }
    return new Promise((resolve, reject) => {
      this.#requests.push({ count, resolve, reject });
      this.#issue();
    });
  }

  #isVouchedBy(from: NodeId, voucher: Voucher): boolean {
    const { isReadyLeader, descriptor, reads } = this.#replica;
    return isReadyLeader && nodeOf(descriptor, voucher.replica) === from && reads.isVouchedBy(voucher);
  }

  /** One round for all that was asked for until the end of this turn; the next round gathers meanwhile. */
  #issue(): void {
    if (this.#issuing || this.#requests.length === 0 || this.#reign === undefined) return;
    this.#issuing = true;
    this.#clock.endOfTurn(() => {
      const requests = this.#requests.splice(0);
      this.#replica.reads.request((error) => {
        void this.#issueTo(requests, error).finally(() => {
          this.#issuing = false;
          this.#issue();
        });
      });
    });
  }

  async #issueTo(requests: readonly TimestampRequest[], refused: QuorateError | undefined): Promise<void> {
    const reign = this.#reign;
    if (refused !== undefined || reign === undefined) {
      for (const request of requests) request.reject(refused ?? this.#notLeader());
      return;
    }
    const count = requests.reduce((sum, request) => sum + request.count, 0);
    try {
      let first: number = await this.#allocate(reign, count);
      for (const request of requests) {
        request.resolve(Timestamp(first));
        first += request.count;
      }
    } catch (error) {
      for (const request of requests) request.reject(QuorateError.from(error, 'notApplied'));
    }
  }

  async #allocate(reign: Reign, count: number): Promise<Timestamp> {
    for (;;) {
      const allocation = reign.oracle.allocate(count, this.#nowMicros(reign));
      if (allocation.type === 'raiseFirst') {
        await this.#raise(reign, allocation.highWater);
        continue;
      }
      // Nobody waits for it. When it fails, the next request tries again.
      if (allocation.raiseAhead !== undefined) this.#raise(reign, allocation.raiseAhead).catch(() => undefined);
      return allocation.first;
    }
  }

  /** Raises the high water, to `highWater` unless a raise is under way: then resolves with that one. */
  #raise(reign: Reign, highWater: Timestamp): Promise<void> {
    reign.raise ??= this.#commitHighWater(reign, highWater).finally(() => {
      reign.raise = undefined;
    });
    return reign.raise;
  }

  async #commitHighWater(reign: Reign, highWater: Timestamp): Promise<void> {
    await this.#change((state) => {
      // The raise may have waited behind another change, and leadership have come and gone: it never goes back.
      if (this.#reign !== reign || highWater <= state.highWater) throw this.#notLeader();
      return [{ key: highWaterKey, value: encodeHighWater(highWater) }];
    });
    if (this.#reign !== reign) throw this.#notLeader();
    reign.oracle.raised(highWater);
  }

  /**
   * Microseconds since 1970 as this reign counts them: never faster than twice the monotonic clock from where the last
   * reign ended. A leader whose wall clock is ahead must not make request ids and old versions expire at once.
   */
  #nowMicros(reign: Reign): number {
    const elapsedMicros = Math.floor((this.#clock.monotonicMs() - reign.monotonicMsAtStart) * 1000);
    return Math.min(reign.wallMicrosAtStart + elapsedMicros, reign.caughtUpMicrosAtStart + 2 * elapsedMicros);
  }

  /** Decides on the applied state and commits; one change at a time. */
  #change(decide: (state: PlacementState) => readonly PlacementChange[]): Promise<void> {
    const change = this.#lastChange.then(async () => {
      const { term } = this.#replica;
      const state = await this.#loadIn(term);
      const changed = decide(state);
      if (changed.length > 0) await this.#commit(changed);
    });
    this.#lastChange = change.catch(() => undefined);
    return change;
  }

  /** Each change waits for one: a disk that does not answer keeps whoever needs a timestamp waiting. */
  async #load(): Promise<PlacementState> {
    return await this.#lookups.watch(loadPlacementState(this.#replica.machine));
  }

  /** Rejects with NOT_LEADER when this node leads no more; its replica, too, may have gone meanwhile. */
  async #loadIn(term: number): Promise<PlacementState> {
    const loaded = await this.#load().catch((error: unknown) => {
      if (this.#leadsIn(term)) throw error;
      return undefined;
    });
    // What was decided on a state that may be old would be an answer, too.
    if (loaded === undefined || !this.#leadsIn(term)) throw this.#notLeader();
    return loaded;
  }

  #commit(changed: readonly PlacementChange[]): Promise<void> {
    const version = Timestamp(this.#replica.machine.maxVersion + 1);
    const effects = changed.map(({ key, value }): Effect => {
      const at = { key: userKey(key), version };
      return value === undefined ? { type: 'delete', ...at } : { type: 'put', ...at, value };
    });
    const batch = encodeWriteBatch(effects);
    const data = encodeEntry({ type: 'effects', epoch: this.#replica.descriptor.epoch, batch });
    return new Promise((resolve, reject) => {
      const answer = this.#replica.propose(data, (end) => {
        if (end.type === 'applied') resolve();
        else reject(end.error);
      });
      if (answer !== 'accepted') reject(this.#notLeader());
    });
  }
}
