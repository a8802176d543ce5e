/** What a replica asks of its surroundings. */
import type { LogIndex, NodeId, ReplicaId, ShardId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { Prng } from '../base/prng.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import type { GroupLog } from '../log/group-log.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import type { Entry, HardState, RaftMessage, Ready, RaftSnapshot } from '../raft/types.js';
import type { ReplicaDescriptor } from './descriptor.js';
import type { EntryEffect } from './entry-effect.js';
import type { GroupDescriptor } from './group-descriptor.js';

/** Ticks that Raft's times are counted in. */
export interface ReplicaTiming {
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  /** A group that has had nothing to do for so long falls quiet; 0 is never. */
  readonly quiesceTicks: number;
  /** Leaders answer single reads under a lease. */
  readonly leaderLease: boolean;
}

/** What has something to carry out at the end of the turn. */
export interface Scheduled {
  handleReady(): void;
  tick(ticksElapsed: number): void;
  /** Whether `tick` would have no effect until `handleReady` is called next. */
  readonly isQuiet: boolean;
}

/** Sees what the replicas of a node do: for checks of what must hold in a whole cluster, and of what has happened. */
export interface ReplicaObserver {
  /** The core has decided this; it is carried out next. */
  onReady(shard: ShardId, replica: ReplicaId, ready: Ready): void;
  /** What this has for the log is durable; what relies on it happens next. */
  onSynced(shard: ShardId, replica: ReplicaId, ready: Ready): void;
  /** The state machine has applied this. */
  onApplied(shard: ShardId, replica: ReplicaId, entry: Entry, effect: EntryEffect): void;
  /** A Raft snapshot took the place of state machine and log. */
  onInstalled(shard: ShardId, replica: ReplicaId, snapshot: RaftSnapshot): void;
}

/** What a replica needs of the node that it lives on. */
export interface ReplicaHost {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Prng;
  readonly limits: Limits;
  readonly timing: ReplicaTiming;
  readonly observer?: ReplicaObserver | undefined;
  /** The data directory that is in use on the node, as far as is known here; undefined while no replica may be made there. */
  storeOf: (node: NodeId) => string | undefined;
  append(shard: ShardId, records: LogRecords): Promise<void>;
  /** Puts a message into this turn's frame to a node; it goes nowhere if the node has another data directory. */
  send(to: Pick<ReplicaDescriptor, 'node' | 'storeId'>, shard: ShardId, message: RaftMessage): void;
  /** This node's replica of the shard leads, and follower `to` needs a Raft snapshot. */
  snapshotWanted(shard: ShardId, to: ReplicaId): void;
  /** Has `handleReady` called at the end of the turn. */
  schedule(replica: Scheduled): void;
  /** The replica has applied that it does not belong to its group any more. */
  removed(shard: ShardId): void;
  /** The node cannot go on: its log failed, its data is damaged, or an assertion did not hold. */
  fail(error: Error): void;
}

/** Its part of the node's log, as a replica reads and shortens it; it writes through `append` of its host. */
export type ReplicaLog = Pick<
  GroupLog,
  'hardState' | 'firstIndex' | 'lastIndex' | 'bytes' | 'keepsLogLong' | 'term' | 'entries' | 'read' | 'truncatePrefix'
>;

/** What a replica asks of its tree beyond what the state machine does. */
export interface ReplicaTree {
  readonly durableAppliedIndex: LogIndex;
  onDurable(callback: (appliedIndex: LogIndex) => void): void;
  /** Back-pressure: defined while the tree cannot take more. */
  writeStall(): Promise<void> | undefined;
  /** Has the tree in a folder take its place, durably; resolves to the applied index of that. */
  replaceBy(folder: string): Promise<LogIndex>;
}

/** What a replica is made of. Its owner closes the tree. */
export interface ReplicaParts {
  readonly host: ReplicaHost;
  /** As of what `machine` has applied. */
  readonly descriptor: GroupDescriptor;
  readonly replicaId: ReplicaId;
  readonly log: ReplicaLog;
  readonly machine: StateMachine;
  readonly tree: ReplicaTree;
}

export interface LogRecords {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly mustSync: boolean;
}
