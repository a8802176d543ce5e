/** A group whose leader has applied all: it takes the steps of its members by itself, one at a time, while a majority lives. */
import type { NodeId, ReplicaId } from '../../../src/base/ids.js';
import type { Prng } from '../../../src/base/prng.js';
import { changeMembers, type MembersWish, sealMembers } from '../../../src/node/membership/replica-changes.js';
import { isJoint } from '../../../src/raft/config.js';
import { leftJoint } from '../../../src/raft/config-change.js';
import type { ReplicaDescriptor } from '../../../src/shard/descriptor.js';
import { type GroupDescriptor, withConfiguration } from '../../../src/shard/group-descriptor.js';
import { MemberChanges, type MembersDone, type MembersWanted } from '../../../src/shard/member-changes.js';

type Propose = ConstructorParameters<typeof MemberChanges>[0]['propose'];

export interface GroupWorld {
  readonly random: Prng;
  /** Its machine runs, and has the data directory that the replica is in. */
  readonly isAlive: (replica: ReplicaDescriptor) => boolean;
  /** As the node knows it. */
  readonly storeOf: (node: NodeId, asKnownBy: NodeId) => string | undefined;
}

export class WalkGroup {
  descriptor: GroupDescriptor;
  readonly history: GroupDescriptor[];
  readonly #world: GroupWorld;
  #leader: ReplicaDescriptor;
  #changes: MemberChanges;
  #next: GroupDescriptor | undefined;

  constructor(descriptor: GroupDescriptor, world: GroupWorld) {
    this.descriptor = descriptor;
    this.history = [descriptor];
    this.#world = world;
    this.#leader = descriptor.replicas[0];
    this.#changes = this.#led(this.#leader);
  }

  /** Undefined while there is none. */
  get leader(): ReplicaDescriptor | undefined {
    return this.hasMajority && this.#world.isAlive(this.#leader) ? this.#leader : undefined;
  }

  get hasMajority(): boolean {
    const { voters, votersOutgoing } = this.descriptor.configuration;
    return [voters, votersOutgoing].every((ids) => 2 * this.#alive(ids).length > ids.length || ids.length === 0);
  }

  #alive(ids: readonly ReplicaId[]): readonly ReplicaDescriptor[] {
    const { replicas } = this.descriptor;
    return replicas.filter((of) => ids.includes(of.replica) && this.#world.isAlive(of));
  }

  #led(self: ReplicaDescriptor): MemberChanges {
    return new MemberChanges({
      shard: this.descriptor.shard,
      self: self.replica,
      descriptor: () => this.descriptor,
      storeOf: (node) => this.#world.storeOf(node, self.node),
      propose: (next) => {
        const news = next.configuration.voters.filter((id) => !this.descriptor.configuration.voters.includes(id));
        const isReady = this.#next === undefined && this.#alive(news).length === news.length;
        if (isReady) this.#next = next;
        const result = isReady ? { type: 'accepted', index: 1, term: 1 } : { type: 'refused', reason: 'notCaughtUp' };
        return result as unknown as ReturnType<Propose>;
      },
      handOver: (to) => {
        const [next] = this.#alive(to);
        if (next !== undefined) this.#elect(next);
      },
    });
  }

  #elect(leader: ReplicaDescriptor): void {
    const before = this.#changes;
    // It has applied all that was committed before it is asked for anything.
    if (this.#next !== undefined && this.#world.random.chance(0.5)) this.history.push((this.descriptor = this.#next));
    this.#next = undefined;
    if (this.#alive(this.descriptor.configuration.voters).every((of) => of !== leader)) return;
    this.#leader = leader;
    this.#changes = this.#led(leader);
    before.lost();
  }

  /** Somebody leads, perhaps somebody else. */
  elect(anew: boolean): void {
    const { voters } = this.descriptor.configuration;
    const able = this.#alive(voters);
    const mustGo = this.leader === undefined || !voters.includes(this.#leader.replica);
    if (this.hasMajority && able.length > 0 && (mustGo || anew)) this.#elect(this.#world.random.pick([...able]));
  }

  /** As a request comes to its leader; rejects as that says. */
  ask(wish: MembersWish): Promise<GroupDescriptor> {
    const { leader } = this;
    return changeMembers(this.#hosted, wish, (node) => leader && this.#world.storeOf(node, leader.node));
  }

  /** See `sealMembers`. */
  seal(members: GroupDescriptor): Promise<void> {
    return sealMembers(this.#hosted, members);
  }

  get #hosted(): Parameters<typeof changeMembers>[0] {
    return this.leader && { replica: this };
  }

  /** As a replica that leads says. */
  get isChangingMembers(): boolean {
    return this.#changes.isUnderWay;
  }

  changeMembers(members: MembersWanted, done: MembersDone): void {
    this.#changes.begin(members, done);
  }

  /** Applies what was proposed, if anything was, and proposes what is next. */
  advance(): void {
    if (this.leader === undefined) return;
    const { descriptor } = this;
    const next = isJoint(descriptor.configuration)
      ? withConfiguration(descriptor, leftJoint(descriptor.configuration))
      : this.#next;
    this.#next = undefined;
    if (next !== undefined) this.history.push((this.descriptor = next));
    this.#changes.proceed();
  }
}
