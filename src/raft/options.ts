/** What a `Raft` is made of, and how its settings relate. */
import { assert } from '../base/assert.js';
import type { LogIndex, ReplicaId } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import type { Configuration } from './config.js';
import type { LeaseOptions } from './lease.js';
import type { HardState, LogView } from './types.js';

export interface RaftOptions {
  readonly self: ReplicaId;
  /** As of `appliedIndex`. `self` need not belong to it: it may have to be told yet, or have been removed. */
  readonly configuration: Configuration;
  /** As it was made durable last; all zero for a new replica. */
  readonly hardState: HardState;
  /** Everything in it is durable when the core starts. */
  readonly log: LogView;
  /** The host's state machine has everything up to here. */
  readonly appliedIndex: LogIndex;
  /** A follower that hears no leader for min … max ticks (drawn anew each time) campaigns. */
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  /** Ticks between heartbeats; below `electionTicksMin`. */
  readonly heartbeatTicks: number;
  /** Bytes of entry data in one append; one entry is always sent. */
  readonly appendBytesMax: number;
  /** Appends to one follower, and read rounds, that are not answered. */
  readonly appendsInFlightMax: number;
  /**
   * Ticks without a message to a follower after which an empty append tells it of a new commit index, if no entries have
   * taken it along until then; 0 is at once. Followers apply later, and an entry by itself costs half the messages.
   */
  readonly commitNoticeTicks: number;
  /** Bytes of proposals that are not committed and durable here; beyond, proposals are refused. */
  readonly uncommittedBytesMax: number;
  /** An idle leader lets its group become quiet after so many ticks; 0 is never. Needs a host that watches nodes. */
  readonly quiesceTicks: number;
  /** Leader leases; undefined for none. The same for all replicas of the group. */
  readonly lease: LeaseOptions | undefined;
  readonly random: Prng;
}

export function checkOptions(options: RaftOptions): void {
  assert(options.heartbeatTicks >= 1, 'heartbeatTicks must be at least 1');
  assert(options.heartbeatTicks < options.electionTicksMin, 'heartbeatTicks must be below electionTicksMin');
  assert(options.electionTicksMin <= options.electionTicksMax, 'electionTicksMin must not exceed electionTicksMax');
  assert(options.appendsInFlightMax >= 1, 'appendsInFlightMax must be at least 1');
}
