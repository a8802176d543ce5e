/**
 * The group that a replica belongs to: its descriptor, the changes of who votes, and who is who on which node.
 *
 * Invariant: what the state machine stores, what is told here and what acts in the core are one configuration, from turn
 * to turn: that of the last applied entry, or of the Raft snapshot that took its place.
 */
import { assert } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import type { LogIndex, NodeId, ReplicaId } from '../base/ids.js';
import type { Logger } from '../env/logger.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import { type Configuration, equalConfigurations } from '../raft/config.js';
import { messageFault } from '../raft/message-fault.js';
import type { ChangeResult, Raft } from '../raft/raft.js';
import type { RaftMessage, RaftSnapshot, SnapshotRequest } from '../raft/types.js';
import { nodeOf } from './descriptor.js';
import { encodeEntry } from './entry-format.js';
import {
  decodeGroupDescriptor,
  encodeGroupDescriptor,
  type GroupDescriptor,
  withConfiguration,
} from './group-descriptor.js';
import { VoterChanges, type VotersDone, votersFault } from './voter-changes.js';

export interface GroupOptions {
  readonly self: ReplicaId;
  readonly descriptor: GroupDescriptor;
  readonly raft: Raft;
  readonly machine: StateMachine;
  readonly logger: Logger;
  /** Something was proposed. */
  readonly schedule: () => void;
}

export class Group {
  readonly #options: GroupOptions;
  #descriptor: GroupDescriptor;
  readonly #voterChanges: VoterChanges;

  constructor(options: GroupOptions) {
    this.#options = options;
    this.#descriptor = options.descriptor;
    this.#voterChanges = new VoterChanges({
      shard: options.descriptor.shard,
      descriptor: () => this.#descriptor,
      propose: (next) => this.propose(next),
    });
  }

  /** As of the last applied entry. */
  get descriptor(): GroupDescriptor {
    return this.#descriptor;
  }

  /** See `Replica.messageFault`. */
  messageFault(node: NodeId, message: RaftMessage): string | undefined {
    const sender = nodeOf(this.#descriptor, message.from);
    // It may be of a replica that was removed, or for one that was here before: then it has no effect.
    if (sender === undefined || message.to !== this.#options.self) return undefined;
    if (sender !== node) return `a message of replica ${message.from}, which is on node ${sender}`;
    if (message.type === 'snapshotRequest') return 'a Raft snapshot without its data';
    return messageFault(message, this.#options.raft);
  }

  /** See `Replica.offerFault`. */
  offerFault(node: NodeId, request: SnapshotRequest): string | undefined {
    const { shard } = this.#descriptor;
    if (request.to !== this.#options.self) return `there is no replica ${request.to} of shard ${shard} here`;
    const sender = nodeOf(this.#descriptor, request.from);
    // It may have joined since: the group has grown, and this replica does not know yet.
    if (sender !== undefined && sender !== node) return `replica ${request.from} is on node ${sender}`;
    return messageFault(request, this.#options.raft);
  }

  /** See `Replica.changeVoters`; by the leader. */
  changeVoters(nodes: readonly NodeId[], done: VotersDone): void {
    const fault = votersFault(this.#descriptor, nodes);
    if (fault !== undefined) throw new QuorateError('INVALID_ARGUMENT', fault, { shard: this.#descriptor.shard });
    this.#voterChanges.begin(nodes, done);
  }

  /** Proposes that `next` follows the configuration that acts. */
  propose(next: Configuration): ChangeResult {
    const { raft, schedule } = this.#options;
    const descriptor = withConfiguration(this.#descriptor, next);
    const result = raft.proposeConfiguration(next, encodeEntry({ type: 'changeGroup', descriptor }));
    schedule();
    return result;
  }

  /** Applies the entry at `index`, from which on the group is this one. */
  apply(index: LogIndex, descriptor: GroupDescriptor): void {
    const { machine, raft, logger } = this.#options;
    machine.applyDescriptor(index, encodeGroupDescriptor(descriptor));
    this.#descriptor = descriptor;
    raft.applyConfiguration(index, descriptor.configuration);
    const { voters, votersOutgoing, learners } = descriptor.configuration;
    logger.info('has other members', { shard: descriptor.shard, index, voters, votersOutgoing, learners });
  }

  /** A Raft snapshot took the place of state machine and log. */
  installed({ index, configuration }: RaftSnapshot): void {
    this.#descriptor = decodeGroupDescriptor(this.#options.machine.descriptor);
    const isAsNamed = equalConfigurations(this.#descriptor.configuration, configuration);
    assert(isAsNamed, `the tree of the Raft snapshot of entry ${index} has another configuration`);
  }

  /** Something was applied, or time has passed: the next step of a change may be possible. */
  proceed(): void {
    this.#voterChanges.proceed();
  }

  /** This replica leads no more. */
  leadershipLost(): void {
    this.#voterChanges.lost();
  }

  close(): void {
    this.#voterChanges.close();
  }
}
