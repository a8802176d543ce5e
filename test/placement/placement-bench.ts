/** A PlacementLeader over a replica and a clock that do what the test says. */
import { setImmediate } from 'node:timers/promises';
import { defined } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { LogIndex, NodeId, ReplicaId, Term, Timestamp, timestampEpochMs } from '../../src/base/ids.js';
import type { Clock } from '../../src/env/clock.js';
import { silentLogger } from '../../src/env/logger.js';
import { userKey } from '../../src/mvcc/keyspace.js';
import { StateMachine, initialIndex } from '../../src/mvcc/state-machine.js';
import { encodeWriteBatch } from '../../src/mvcc/write-batch-writer.js';
import { firstShardMap, placementDescriptor } from '../../src/placement/bootstrap.js';
import { encodeHighWater, highWaterKey } from '../../src/placement/placement-format.js';
import { PlacementLeader } from '../../src/placement/placement-leader.js';
import { loadPlacementState } from '../../src/placement/placement-state.js';
import type { PlacementState } from '../../src/placement/placement-state.js';
import { decodeEntry } from '../../src/shard/entry-format.js';
import type { ProposalEnd } from '../../src/shard/proposals.js';
import { newGroup } from '../../src/shard/group-descriptor.js';
import type { ReadPermit } from '../../src/shard/read-gate.js';
import type { ProposalRefusal } from '../../src/shard/replica.js';
import { NaiveEngine } from '../mvcc/naive-engine.js';

interface Proposed {
  readonly data: Uint8Array;
  readonly done: (end: ProposalEnd) => void;
}

/** How a request for timestamps ended, once it has. */
export interface Asked {
  first: Timestamp | undefined;
  error: QuorateError | undefined;
}

const nodes = [1, 2, 3].map((id) => NodeId(id));

export class PlacementBench {
  readonly leader: PlacementLeader;
  /** Entries that the test has not applied or lost. */
  readonly proposed: Proposed[] = [];
  refusal: ProposalRefusal | undefined;
  /** Times that it was to hand over to whoever is best. */
  handOvers = 0;
  /** ReadIndex rounds that were asked for. */
  rounds = 0;
  monotonicMs = 0;
  /** Milliseconds of the wall clock after the epoch of timestamps. */
  wallMs = 1000;
  #term = Term(1);
  #leading = false;
  #index: number = initialIndex;
  readonly #machine: StateMachine;
  #announce: (leading: boolean) => void = () => undefined;
  #turn: (() => void)[] = [];
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  static async make(): Promise<PlacementBench> {
    return new PlacementBench(
      await StateMachine.create(new NaiveEngine(), utf8('descriptor'), { retention: 60_000_000 }),
    );
  }

  /** One that leads a cluster whose map is written, `wallMs` after the epoch of timestamps. */
  static async formed(wallMs = 1000): Promise<PlacementBench> {
    const bench = await PlacementBench.make();
    bench.wallMs = wallMs;
    await bench.lead();
    await bench.apply();
    return bench;
  }

  private constructor(machine: StateMachine) {
    this.#machine = machine;
    const clock: Clock = {
      monotonicMs: () => this.monotonicMs,
      wallMicros: () => (timestampEpochMs + this.wallMs) * 1000,
      after: (delayMs, callback) => {
        const timer = { atMs: this.monotonicMs + delayMs, callback };
        this.#timers.push(timer);
        return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
      },
      endOfTurn: (callback) => this.#turn.push(callback),
    };
    const term = (): Term => this.#term;
    const isLeading = (): boolean => this.#leading;
    const descriptor = newGroup(placementDescriptor(nodes));
    this.leader = new PlacementLeader({
      replica: {
        shard: descriptor.shard,
        descriptor,
        machine,
        reads: {
          request: (permit: ReadPermit) => {
            this.rounds++;
            permit(undefined, undefined);
          },
          isVouchedBy: ({ term: vouched }) => vouched === this.#term,
        },
        get term() {
          return term();
        },
        get isLeader() {
          return isLeading();
        },
        get isReadyLeader() {
          return isLeading();
        },
        onLeadership: (listener) => {
          this.#announce = listener;
        },
        propose: (data, done) => {
          if (this.refusal !== undefined) return this.refusal;
          this.proposed.push({ data, done });
          return 'accepted';
        },
        transferLeadership: () => ++this.handOvers > 0,
      },
      clock,
      logger: silentLogger,
      firstMap: firstShardMap({ nodes, shardCount: 2, replicationFactor: 3 }),
    });
  }

  /** The replica leads in a new term, and has applied an entry of it. */
  async lead(): Promise<void> {
    this.#term = Term(this.#term + 1);
    this.#leading = true;
    this.#announce(true);
    await this.turn();
  }

  get term(): number {
    return this.#term;
  }

  async loseLeadership(): Promise<void> {
    this.#leading = false;
    this.#announce(false);
    await this.turn();
  }

  /** By node 2; `by` is what it vouches with. */
  ask(count = 1, by?: { readonly replica: number; readonly term: number }): Asked {
    const asked: Asked = { first: undefined, error: undefined };
    const voucher = by === undefined ? undefined : { replica: ReplicaId(by.replica), term: Term(by.term) };
    this.leader.timestamps(count, { from: NodeId(2), voucher }).then(
      (first) => {
        asked.first = first;
      },
      (error: unknown) => {
        asked.error = QuorateError.from(error);
      },
    );
    return asked;
  }

  /** Ends the turn, and lets all promises go as far as they can. */
  async turn(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      for (const callback of this.#turn.splice(0)) callback();
      await setImmediate();
    }
  }

  /** Lets time pass by both clocks; timers that are due fire at the end. */
  async pass(ms: number): Promise<void> {
    this.monotonicMs += ms;
    this.wallMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.monotonicMs);
    this.#timers = this.#timers.filter((timer) => !due.includes(timer));
    for (const { callback } of due) callback();
    await this.turn();
  }

  /** Applies an entry of another leader, which has taken the place of the oldest proposal. */
  replaceByOthersHighWater(highWater: Timestamp): void {
    const version = Timestamp(this.#machine.maxVersion + 1);
    const value = encodeHighWater(highWater);
    const batch = encodeWriteBatch([{ type: 'put', key: userKey(highWaterKey), version, value }]);
    this.#machine.apply(LogIndex(++this.#index), batch);
    const { done } = defined(this.proposed.shift(), 'entry');
    done({ type: 'lost', error: new QuorateError('NOT_LEADER', 'the leader changed') });
  }

  /** Applies the oldest entry. */
  async apply(): Promise<void> {
    const { data, done } = defined(this.proposed.shift(), 'entry');
    const entry = decodeEntry(data);
    const index = LogIndex(++this.#index);
    if (entry.type === 'effects') this.#machine.apply(index, entry.batch);
    done({ type: 'applied', index });
    await this.turn();
  }

  /** From now on nothing that is to be read comes. */
  stallDisk(): void {
    this.#machine.scan = () => new Promise(() => undefined);
  }

  state(): Promise<PlacementState> {
    return loadPlacementState(this.#machine);
  }
}
