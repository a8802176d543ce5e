/**
 * The group that a replica belongs to: its descriptor, whether this replica is in it, and the changes of who else is.
 *
 * Invariant: what the state machine stores, what is told here and what acts in the core are one configuration, from turn
 * to turn: that of the last applied entry, or of the Raft snapshot that took its place.
 */
import { assert } from '../base/assert.js';
import { QuorateError } from '../base/errors.js';
import type { LogIndex, ReplicaId } from '../base/ids.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import { type Configuration, equalConfigurations } from '../raft/config.js';
import type { ChangeResult, Raft } from '../raft/raft.js';
import type { RaftSnapshot } from '../raft/types.js';
import { encodeEntry } from './entry-format.js';
import {
  decodeGroupDescriptor,
  encodeGroupDescriptor,
  type GroupDescriptor,
  wasRemoved,
  withConfiguration,
} from './group-descriptor.js';
import { MemberChanges, membersFault, membersOfWish, type MembersDone, type MembersWanted } from './member-changes.js';
import type { ReplicaHost } from './replica-host.js';

/**
 * - `unfilled`: made for a message; it has no data, and is not told yet who belongs to the group.
 * - `removed`: it has applied that it does not belong to the group any more; nothing is asked of it but to go.
 */
export type Standing = 'unfilled' | 'member' | 'removed';

export interface GroupOptions {
  readonly self: ReplicaId;
  readonly descriptor: GroupDescriptor;
  readonly raft: Raft;
  readonly machine: StateMachine;
  readonly host: Pick<ReplicaHost, 'logger' | 'storeOf'>;
  /** Something was proposed. */
  readonly schedule: () => void;
  /** Hands leadership to the best of these that can take it now. Returns whether that is under way. */
  readonly handOver: (to: readonly ReplicaId[]) => boolean;
}

export class Group {
  readonly #options: GroupOptions;
  #descriptor: GroupDescriptor;
  readonly #memberChanges: MemberChanges;
  /** This leader leaves with a joint configuration, and has tried to hand over before that. */
  #triedToHandOver = false;

  constructor(options: GroupOptions) {
    this.#options = options;
    this.#descriptor = options.descriptor;
    this.#memberChanges = new MemberChanges({
      shard: options.descriptor.shard,
      self: options.self,
      descriptor: () => this.#descriptor,
      storeOf: (node) => options.host.storeOf(node),
      propose: (next) => this.#propose(next),
      handOver: (to) => void this.#handOver(to),
    });
  }

  /** As of the last applied entry. */
  get descriptor(): GroupDescriptor {
    return this.#descriptor;
  }

  get standing(): Standing {
    const { replicas } = this.#descriptor;
    if (replicas.length === 0) return 'unfilled';
    return wasRemoved(this.#descriptor, this.#options.self) ? 'removed' : 'member';
  }

  get isChangingMembers(): boolean {
    return this.#memberChanges.isUnderWay;
  }

  /** See `Replica.changeMembers`; by the leader. */
  changeMembers(members: MembersWanted, done: MembersDone): void {
    const fault = membersFault(this.#descriptor, membersOfWish(members, this.#descriptor));
    if (fault !== undefined) throw new QuorateError('INVALID_ARGUMENT', fault, { shard: this.#descriptor.shard });
    this.#memberChanges.begin(members, done);
  }

  /** `Ready.leaveJoint`. A leader that is no voter afterwards had better be none before, if somebody else can be. */
  leaveJoint(next: Configuration): void {
    if (!next.voters.includes(this.#options.self) && !this.#triedToHandOver) {
      this.#triedToHandOver = true;
      if (this.#handOver(next.voters)) return;
    }
    // Refused, it is asked for again with the next tick.
    this.#propose(withConfiguration(this.#descriptor, next));
  }

  #handOver(to: readonly ReplicaId[]): boolean {
    const { raft, host, handOver } = this.#options;
    const isUnderWay = raft.status().transferTarget !== 0;
    if (isUnderWay || !handOver(to)) return isUnderWay;
    host.logger.info('hands over before it leaves', { shard: this.#descriptor.shard, to });
    return true;
  }

  #propose(descriptor: GroupDescriptor): ChangeResult {
    const { raft, schedule } = this.#options;
    const data = encodeEntry({ type: 'changeGroup', descriptor });
    const result = raft.proposeConfiguration(descriptor.configuration, data);
    schedule();
    return result;
  }

  /** Applies the entry at `index`, from which on the group is this one. */
  apply(index: LogIndex, descriptor: GroupDescriptor): void {
    const { machine, raft, host } = this.#options;
    machine.applyDescriptor(index, encodeGroupDescriptor(descriptor));
    const { learners: learned } = this.#descriptor.configuration;
    this.#descriptor = descriptor;
    raft.applyConfiguration(index, descriptor.configuration);
    const { voters, votersOutgoing, learners } = descriptor.configuration;
    const promoted = learned.filter((replica) => voters.includes(replica));
    if (promoted.length > 0)
      host.logger.info('a learner votes from now on', { shard: descriptor.shard, index, promoted });
    host.logger.info('has other members', { shard: descriptor.shard, index, voters, votersOutgoing, learners });
  }

  /** A Raft snapshot took the place of state machine and log. */
  installed({ index, configuration }: RaftSnapshot): void {
    this.#descriptor = decodeGroupDescriptor(this.#options.machine.descriptor);
    const isAsNamed = equalConfigurations(this.#descriptor.configuration, configuration);
    assert(isAsNamed, `the tree of the Raft snapshot of entry ${index} has another configuration`);
  }

  /** Something was applied, or time has passed: the next step of a change may be possible. */
  proceed(): void {
    this.#memberChanges.proceed();
  }

  /** This replica leads no more. */
  leadershipLost(): void {
    this.#triedToHandOver = false;
    this.#memberChanges.lost();
  }

  close(): void {
    this.#memberChanges.close();
  }
}
