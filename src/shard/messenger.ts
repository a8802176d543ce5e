/**
 * A replica's messages: which are taken, from whom, and where answers go.
 *
 * A replica knows the nodes of its group as of the last entry that it has applied. The group may have grown since, and one
 * that was made for a message knows nobody yet. So of senders with ids that are new to it, it notes the node that they are on.
 *
 * Invariants
 * - A replica is on one node for ever, in one data directory: its id is given out once.
 * - Who was removed, by what is applied here, is not heard: it disturbs nobody (pitfall 16).
 * - A replica that has no data yet votes for nobody: no group counts on its vote before it has caught up.
 */
import type { LogIndex, NodeId, ReplicaId, ShardId } from '../base/ids.js';
import { messageFault } from '../raft/message-fault.js';
import type { Raft } from '../raft/raft.js';
import type { RaftMessage, SnapshotRequest } from '../raft/types.js';
import { descriptorOf, nodeOf, type ReplicaDescriptor } from './descriptor.js';
import type { Freshness } from './freshness.js';
import { type GroupDescriptor, wasRemoved } from './group-descriptor.js';
import type { ReplicaHost } from './replica-host.js';

export interface MessengerOptions {
  readonly self: ReplicaId;
  readonly shard: ShardId;
  readonly raft: Raft;
  readonly host: Pick<ReplicaHost, 'send' | 'clock'>;
  readonly descriptor: () => GroupDescriptor;
  readonly appliedIndex: () => LogIndex;
  readonly freshness: Freshness;
}

/** Senders that the descriptor does not have yet: those of a few changes at most. */
const newcomersMax = 16;

/** Whether only leaders send it, to whoever belongs to their group. */
export function isFromLeader({ type }: RaftMessage): boolean {
  return type === 'appendRequest' || type === 'heartbeat' || type === 'snapshotRequest';
}

export class Messenger {
  readonly #options: MessengerOptions;
  /** Nodes of replicas that are newer than the descriptor. */
  readonly #newcomers = new Map<ReplicaId, NodeId>();
  readonly #unreachable = new Set<NodeId>();
  #silentTicks = 0;

  constructor(options: MessengerOptions) {
    this.#options = options;
  }

  /** The node of a replica, as far as it is known here. */
  nodeOf(replica: ReplicaId): NodeId | undefined {
    return nodeOf(this.#options.descriptor(), replica) ?? this.#newcomers.get(replica);
  }

  /** Ticks since a leader was heard of; the time of a quiet replica stands still. */
  get silentTicks(): number {
    return this.#silentTicks;
  }

  tick(): void {
    this.#silentTicks = this.#options.raft.role === 'leader' ? 0 : this.#silentTicks + 1;
  }

  /** What makes `message` one that no correct replica on `node` sends; undefined when it may be stepped. */
  messageFault(node: NodeId, message: RaftMessage): string | undefined {
    const { self, raft } = this.#options;
    // It may be of a replica that was removed, or for one that was here before: then it has no effect.
    if (message.to !== self || this.#isRemoved(message.from)) return undefined;
    const sender = this.nodeOf(message.from);
    if (sender !== undefined && sender !== node)
      return `a message of replica ${message.from}, which is on node ${sender}`;
    if (message.type === 'snapshotRequest') return 'a Raft snapshot without its data';
    return messageFault(message, raft);
  }

  /** Why a Raft snapshot that `node` offers is not taken, whatever is in it; undefined when it may be asked for. */
  offerFault(node: NodeId, request: SnapshotRequest): string | undefined {
    const { self, shard, raft } = this.#options;
    if (request.to !== self) return `there is no replica ${request.to} of shard ${shard} here`;
    if (this.#isRemoved(request.from)) return `replica ${request.from} does not belong to shard ${shard} any more`;
    const sender = this.nodeOf(request.from);
    if (sender !== undefined && sender !== node) return `replica ${request.from} is on node ${sender}`;
    const fault = messageFault(request, raft);
    if (fault === undefined) this.#note(node, request);
    return fault;
  }

  #isRemoved(replica: ReplicaId): boolean {
    return wasRemoved(this.#options.descriptor(), replica);
  }

  #note(node: NodeId, { from }: RaftMessage): void {
    if (this.nodeOf(from) !== undefined || this.#isRemoved(from)) return;
    const [oldest] = this.#newcomers.keys();
    if (this.#newcomers.size >= newcomersMax) this.#newcomers.delete(oldest);
    this.#newcomers.set(from, node);
  }

  /** From `node`; it has no {@link messageFault}. Returns whether it was taken. */
  step(node: NodeId, message: RaftMessage): boolean {
    const { self, raft, freshness, appliedIndex, descriptor } = this.#options;
    if (message.to !== self || this.#isRemoved(message.from)) return false;
    const isLeaders = isFromLeader(message);
    if (!isLeaders && descriptor().replicas.length === 0) return false;
    this.#note(node, message);
    raft.step(message);
    if (isLeaders && message.term === raft.term) this.#silentTicks = 0;
    if (message.type === 'heartbeat' && message.term === raft.term) freshness.heard(message, appliedIndex());
    return true;
  }

  send(message: RaftMessage): void {
    const { host, shard, freshness } = this.#options;
    const to = descriptorOf(this.#options.descriptor(), message.to) ?? this.#newcomer(message.to);
    if (to === undefined) return;
    const isAnswer = message.type === 'heartbeatResponse';
    host.send(to, shard, isAnswer ? { ...message, probe: freshness.probe(host.clock.monotonicMs()) } : message);
  }

  #newcomer(replica: ReplicaId): ReplicaDescriptor | undefined {
    const node = this.#newcomers.get(replica);
    return node === undefined ? undefined : { replica, node };
  }

  /** There is no connection to this node, until {@link peerReachable}. Returns whether that concerns the core. */
  peerUnreachable(node: NodeId): boolean {
    this.#unreachable.add(node);
    return this.#tellCore(node, (replica) => this.#options.raft.peerUnreachable(replica));
  }

  peerReachable(node: NodeId): boolean {
    this.#unreachable.delete(node);
    return this.#tellCore(node, (replica) => this.#options.raft.peerReachable(replica));
  }

  #tellCore(node: NodeId, tell: (replica: ReplicaId) => void): boolean {
    const { descriptor, self } = this.#options;
    const replica = descriptor().replicas.find((member) => member.node === node)?.replica;
    if (replica === undefined || replica === self) return false;
    tell(replica);
    return true;
  }

  /** The group has other members: of new ones on nodes that cannot be reached the core was not told. */
  groupChanged(): void {
    for (const replica of this.#newcomers.keys()) {
      if (nodeOf(this.#options.descriptor(), replica) !== undefined || this.#isRemoved(replica)) {
        this.#newcomers.delete(replica);
      }
    }
    for (const node of this.#unreachable) this.peerUnreachable(node);
  }
}
