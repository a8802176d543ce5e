/**
 * Which nodes are to have replicas of a shard, and which of these vote: a wish of an operator or of the placement, carried
 * out by the replica that leads, step by step: a node without a replica gets a new one, which learns; when it has caught up
 * the voters change, through a joint configuration where more than one does; then whoever is wished for no more leaves.
 *
 * Invariants
 * - A wish ends exactly once: when what was wished for acts here, when another takes its place, or when leadership is lost.
 * - What is proposed follows the group as it is, and the next is proposed only when that acts: the core refuses everything
 *   else.
 * - A voter that leaves learns first, and leaves by a second change: until that is committed, those who do not know the first
 *   to be may need its vote (docs/protocol/raft.md).
 * - A leader that is to vote no more hands over first, and its successor does the rest, when it is asked to: so it is
 *   never the group's leader whose last deed is to leave it.
 */
import { QuorateError } from '../base/errors.js';
import type { NodeId, ReplicaId, ShardId } from '../base/ids.js';
import { type Configuration, isJoint } from '../raft/config.js';
import { changedConfiguration } from '../raft/config-change.js';
import type { ChangeResult } from '../raft/raft.js';
import { type GroupDescriptor, withConfiguration, withReplicasOn } from './group-descriptor.js';

/** Other nodes have no replica. */
export interface WantedMembers {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
}

export interface SealedMembers extends WantedMembers {
  /** A membership epoch. Where nothing else is to change, the same members follow themselves with the next one. */
  readonly above?: number | undefined;
}

/** These, or what makes them of whoever belongs to the group by then: the wish may come while it is joint, by an earlier one. */
export type MembersWanted = SealedMembers | ((now: GroupDescriptor) => SealedMembers);

/** Undefined: these are the members. Otherwise nothing more is done, and what was proposed may still act. */
export type MembersDone = (error: QuorateError | undefined) => void;

export interface MemberChangesOptions {
  readonly shard: ShardId;
  readonly self: ReplicaId;
  readonly descriptor: () => GroupDescriptor;
  /** The data directory that is in use on the node; undefined while no replica may be made there. */
  readonly storeOf: (node: NodeId) => string | undefined;
  /** Proposes that `next` follows the group as it is. */
  readonly propose: (next: GroupDescriptor) => ChangeResult;
  /** Has one of these lead. */
  readonly handOver: (to: readonly ReplicaId[]) => void;
}

/**
 * What a replica is in its group. Between two sets of voters, until the first is left: `incoming` is of the second, `outgoing` of
 * the first.
 */
export type MemberRole = 'voter' | 'learner' | 'incoming' | 'outgoing';

export function roleOf({ voters, votersOutgoing }: Configuration, replica: ReplicaId): MemberRole {
  const votes = voters.includes(replica);
  if (votersOutgoing.length === 0) return votes ? 'voter' : 'learner';
  if (votersOutgoing.includes(replica)) return votes ? 'voter' : 'outgoing';
  return votes ? 'incoming' : 'learner';
}

interface Wish {
  readonly members: MembersWanted;
  readonly done: MembersDone;
}

/** What cannot be wished for; undefined when it can. */
export function membersFault({ shard }: { readonly shard: ShardId }, members: WantedMembers): string | undefined {
  const { voters, learners } = members;
  const nodes = [...voters, ...learners];
  if (voters.length === 0) return `shard ${shard} needs a voter`;
  const twice = nodes.find((node, i) => nodes.indexOf(node) < i);
  return twice === undefined ? undefined : `node ${twice} is named twice`;
}

export function membersOfWish(members: MembersWanted, now: GroupDescriptor): SealedMembers {
  return typeof members === 'function' ? members(now) : members;
}

/** What one node is to be in a group. */
export interface WantedMember {
  readonly node: NodeId;
  readonly role: 'voter' | 'learner' | 'none';
  /** Have no replica, where that is so. */
  readonly instead: readonly NodeId[];
}

/** Who the members are, or become with the change that acts. Pure. */
export function membersNow({ replicas, configuration }: GroupDescriptor): WantedMembers {
  const { voters, learners, learnersNext } = configuration;
  const nodes = (ids: readonly ReplicaId[]): NodeId[] =>
    replicas.filter(({ replica }) => ids.includes(replica)).map(({ node }) => node);
  return { voters: nodes(voters), learners: nodes([...learners, ...learnersNext]) };
}

/**
 * Who the members are when one node is what is wanted, and the others stay what they are or become. Asked for again on the way there,
 * it is the same. Pure.
 */
export function membersWith(descriptor: GroupDescriptor, { node, role, instead }: WantedMember): WantedMembers {
  const { voters, learners } = membersNow(descriptor);
  const isOther = (other: NodeId): boolean => other !== node && !instead.includes(other);
  const added = (as: WantedMember['role']): NodeId[] => (role === as ? [node] : []);
  return {
    voters: [...voters.filter(isOther), ...added('voter')],
    learners: [...learners.filter(isOther), ...added('learner')],
  };
}

type MemberStep =
  | { readonly type: 'reached' }
  /** For a joint configuration to be left, or for a node that has no data directory now. */
  | { readonly type: 'wait' }
  | { readonly type: 'propose'; readonly next: GroupDescriptor }
  | { readonly type: 'handOver'; readonly to: readonly ReplicaId[] };

/** What comes next on the way to `wanted`, by the leader `self`. Pure. */
function nextMemberStep(
  descriptor: GroupDescriptor,
  wanted: SealedMembers,
  self: ReplicaId,
  storeOf: MemberChangesOptions['storeOf'],
): MemberStep {
  const { replicas, configuration, epoch } = descriptor;
  if (isJoint(configuration)) return { type: 'wait' };
  const missing = [...wanted.voters, ...wanted.learners].filter((node) => replicas.every((of) => of.node !== node));
  const stores = missing.flatMap((node) => {
    const storeId = storeOf(node);
    return storeId === undefined ? [] : [{ node, storeId }];
  });
  if (stores.length < missing.length) return { type: 'wait' };
  if (stores.length > 0) return { type: 'propose', next: withReplicasOn(descriptor, stores) };
  const on = (nodes: readonly NodeId[]): ReplicaId[] =>
    replicas.filter(({ node }) => nodes.includes(node)).map(({ replica }) => replica);
  const stay = on(wanted.voters);
  const leaves = !stay.includes(self);
  const voters = leaves ? [...stay, self].sort((a, b) => a - b) : stay;
  const others = replicas.map(({ replica }) => replica).filter((replica) => !voters.includes(replica));
  const wantedOthers = others.filter((replica) => on(wanted.learners).includes(replica));
  const propose = (learners: readonly ReplicaId[]): MemberStep => {
    return {
      type: 'propose',
      next: withConfiguration(descriptor, changedConfiguration(configuration, { voters, learners })),
    };
  };
  if (!equalIds(voters, configuration.voters)) return propose(others);
  if (!equalIds(wantedOthers, configuration.learners)) return propose(wantedOthers);
  if (leaves) return { type: 'handOver', to: stay };
  const { above = -1 } = wanted;
  return epoch.membership > above ? { type: 'reached' } : propose(wantedOthers);
}

function equalIds(a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

export class MemberChanges {
  readonly #options: MemberChangesOptions;
  #wish: Wish | undefined;
  /** The membership epoch on which a change was proposed last. */
  #proposedOn: number | undefined;

  constructor(options: MemberChangesOptions) {
    this.#options = options;
  }

  /** A change was proposed, and does not act yet: the members are about to be others. */
  get isUnderWay(): boolean {
    return this.#proposedOn === this.#options.descriptor().epoch.membership;
  }

  /** Takes the place of a wish that is under way. `members` are without {@link membersFault}. */
  begin(members: MembersWanted, done: MembersDone): void {
    this.#end(this.#notLeader('another change of its members has begun'));
    this.#wish = { members, done };
    this.proceed();
  }

  /** Something was applied, or time has passed: a replica that is to vote may have caught up. */
  proceed(): void {
    const wish = this.#wish;
    if (wish === undefined) return;
    const { descriptor, self, storeOf, propose, handOver } = this.#options;
    const now = descriptor();
    const step = nextMemberStep(now, membersOfWish(wish.members, now), self, storeOf);
    switch (step.type) {
      case 'reached':
        this.#end(undefined);
        return;
      case 'wait':
        return;
      case 'handOver':
        handOver(step.to);
        return;
      case 'propose': {
        const result = propose(step.next);
        if (result.type === 'accepted') this.#proposedOn = now.epoch.membership;
        else if (result.reason === 'notLeader') this.lost();
        return;
      }
    }
  }

  /** This replica leads no more. */
  lost(): void {
    this.#proposedOn = undefined;
    this.#end(this.#notLeader('the leader changed'));
  }

  close(): void {
    const { shard } = this.#options;
    this.#end(new QuorateError('NODE_STOPPING', 'the node is stopping', { shard, outcome: 'unknown' }));
  }

  #notLeader(reason: string): QuorateError {
    const { shard } = this.#options;
    return new QuorateError('NOT_LEADER', `shard ${shard}: ${reason}`, { shard, outcome: 'unknown' });
  }

  #end(error: QuorateError | undefined): void {
    const wish = this.#wish;
    this.#wish = undefined;
    wish?.done(error);
  }
}
