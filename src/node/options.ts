/** What a node must be told, validated and with all defaults filled in. `config.ts` makes it from file, environment and flags. */
import type { NodeId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';

export interface NodeOptions {
  readonly cluster: ClusterOptions;
  readonly nodeId: NodeId;
  /** `host:port` where clients and the other nodes' users reach its gRPC service. Default: that of its entry in `cluster.nodes`. */
  readonly clientAddress: string;
  /** `host:port` where the other nodes reach it. Default: that of its entry in `cluster.nodes`. */
  readonly peerAddress: string;
  /** Folder that this node alone uses. */
  readonly dataDirectory: string;
  /** `host:port` that the gRPC service listens on. Default: `clientAddress`. */
  readonly clientListen: string;
  /** `host:port` that the peer port listens on. Default: `peerAddress`. */
  readonly peerListen: string;
  readonly raft: RaftTiming;
  /** Milliseconds for a request whose caller gave no deadline. Default 5000. */
  readonly requestTimeoutMsDefault: number;
  /** Milliseconds that a request may ask for at most. Default 60000. */
  readonly requestTimeoutMsMax: number;
  /** Milliseconds that a stopping node gives to requests under way. Default 5000. */
  readonly drainMsMax: number;
  /** Threads for compaction, besides one for flushes. Default 1. */
  readonly backgroundThreads: number;
  /** What is done about a data directory that is damaged. Default `manual`. */
  readonly repair: RepairMode;
  readonly limits: Limits;
}

/**
 * `manual`: nothing; the node stops, and an operator has it replaced. `fromPeers`: it asks the cluster to retire the directory, puts that
 * aside, and comes back with an empty one.
 */
export type RepairMode = 'manual' | 'fromPeers';

export interface ClusterOptions {
  /** Clusters of different names refuse each other. The cluster id is derived from it and from the ids of the initial nodes. */
  readonly name: string;
  /** The nodes that form the cluster at its first start, the same list in every node's configuration; sorted by id. */
  readonly nodes: readonly InitialNode[];
  /** Shards that the key space is split into at the first start. Default 8. */
  readonly initialShards: number;
  /** Replicas of each shard; at most the number of nodes. Default 3. */
  readonly replicationFactor: number;
}

export interface InitialNode {
  readonly id: NodeId;
  /** `host:port` where clients and the other nodes' users reach its gRPC service. */
  readonly clientAddress: string;
  /** `host:port` where the other nodes reach it. */
  readonly peerAddress: string;
}

/** Elections take `electionTicksMin` to `electionTicksMax` ticks without a leader, drawn anew each time. */
export interface RaftTiming {
  /** Default 50. */
  readonly tickMs: number;
  /** Default 2. */
  readonly heartbeatTicks: number;
  /** Default 10. */
  readonly electionTicksMin: number;
  /** Default 20. */
  readonly electionTicksMax: number;
  /** A group that has had nothing to do for so long falls quiet; 0 is never. Default 60. */
  readonly quiesceTicks: number;
  /**
   * Leaders answer linearizable reads of single keys without asking a majority, for most of an election timeout after
   * one has answered. Rests on monotonic clocks whose rates differ by less than a tenth. Default false.
   */
  readonly leaderLease: boolean;
}

export const defaultRaftTiming: RaftTiming = {
  tickMs: 50,
  heartbeatTicks: 2,
  electionTicksMin: 10,
  electionTicksMax: 20,
  quiesceTicks: 60,
  leaderLease: false,
};
