/**
 * A cluster of which only its membership is real: who decides, from a map that is behind, what each group's leader is asked for, late or twice,
 * and knows of the placement group's state as much as its node has applied. Machines stop, lose their disks and are removed, one thing
 * at a time with another.
 */
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ShardId } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { silentLogger } from '../../../src/env/logger.js';
import { MembershipWork, type MembershipWorkOptions } from '../../../src/node/membership/membership-work.js';
import {
  groupsOf,
  isGone,
  nodeStage,
  plannedFor,
  registration,
  routeOf,
  storeFault,
  storeInUse,
} from '../../../src/placement/node-registry.js';
import { removalBegin } from '../../../src/placement/node-removal.js';
import { replacementBegin } from '../../../src/placement/node-replacement.js';
import { membersReported } from '../../../src/placement/member-report.js';
import { placementKeyType } from '../../../src/placement/placement-format.js';
import type { PlacementState } from '../../../src/placement/placement-state.js';
import { ShardMap } from '../../../src/placement/shard-map.js';
import { isJoint } from '../../../src/raft/config.js';
import type { MemberWish } from '../../../src/rpc/peer-messages.js';
import { withLearners, type ReplicaDescriptor } from '../../../src/shard/descriptor.js';
import type { GroupDescriptor } from '../../../src/shard/group-descriptor.js';
import { after, joined, record } from '../../placement/registry-states.js';
import { WalkGroup } from './walk-group.js';
import { inOrder, LedPlacement, settled, type Decision } from './walk-placement.js';
import { formed, placementGroup, replicasOfShard, survives, type Order, type Wish } from './walk-members.js';

interface Machine {
  readonly node: NodeId;
  storeId: string;
  isUp: boolean;
  /** Of the placement group's states, what it has applied. */
  applied: number;
}

/** What the placement leader asked for, until it is done or given up. */
interface Asked {
  readonly wish: MemberWish;
  readonly signal: AbortSignal;
  readonly end: (error: QuorateError | undefined) => void;
  isThere: boolean;
  turns: number;
}

/** After as many the placement leader gives a step up, and decides anew. */
const turnsOfStepMax = 40;

export class WalkCluster {
  readonly random: Prng;
  readonly machines: readonly Machine[];
  readonly groups: readonly WalkGroup[];
  readonly seats: number;
  /** Shards of which nobody can say what they should have. */
  readonly abandoned = new Set<ShardId>();
  /** How many learn, where an operator wanted that. */
  readonly learning = new Map<ShardId, number>();
  orders: Order[] = [];
  wishes: Wish[] = [];
  /** How often what happened; for the test that all of it does. */
  readonly marks = { vacated: 0, removed: 0, cameAgain: 0, refused: 0, retargeted: 0, wished: 0 };
  readonly #founders: readonly NodeId[];
  /** Of the placement group, without the map. */
  readonly #states: PlacementState[];
  /** Of each shard's history, what the map has. */
  readonly #mapped = new Map<ShardId, GroupDescriptor>();
  #asked: Asked[] = [];
  #late: MemberWish[] = [];
  #work: { readonly leader: ReplicaDescriptor; readonly work: MembershipWork } | undefined;
  /** Commands are given again and again until they are done, or only where a target is down. */
  readonly #givesAgain: boolean;
  #stores = 0;

  constructor(seed: number) {
    this.random = new Prng(seed);
    const { random } = this;
    this.#givesAgain = random.chance(0.5);
    const nodes = Array.from({ length: random.int(4, 7) }, (_, i) => NodeId(i + 1));
    this.seats = random.pick([3, Math.min(5, nodes.length)]);
    this.#founders = nodes.slice(0, this.seats);
    this.#states = [joined(...nodes.map((node) => record(node)))];
    this.machines = nodes.map((node) => ({ node, storeId: `store-${node}`, isUp: true, applied: 0 }));
    const world = {
      random,
      isAlive: (replica: ReplicaDescriptor): boolean => this.isAlive(replica),
      storeOf: (node: NodeId, asKnownBy: NodeId): string | undefined => {
        const state = this.#states[this.machine(asKnownBy).applied];
        return storeInUse(state, node);
      },
    };
    const shards = Array.from({ length: random.int(1, 4) }, () => random.shuffle([...nodes]).slice(0, replicasOfShard));
    this.groups = [
      new WalkGroup(placementGroup(nodes, this.seats), world),
      ...shards.map((on, i) => new WalkGroup(formed(ShardId(i + 1), on, i === shards.length - 1), world)),
    ];
    for (const { descriptor } of this.groups.slice(1)) this.#mapped.set(descriptor.shard, descriptor);
  }

  get placement(): WalkGroup {
    return this.groups[0];
  }

  /** As the placement group's leader has it. */
  get state(): PlacementState {
    const state = this.#states[this.#states.length - 1];
    const known = [...this.#mapped.values()].map((of) => withLearners(of, of.configuration.learners));
    return { ...state, shardMap: new ShardMap(this.#states.length, known) };
  }

  machine(node: NodeId): Machine {
    return this.machines[node - 1];
  }

  /** Its machine runs, and has the data directory that it is in. */
  isAlive({ node, storeId }: ReplicaDescriptor): boolean {
    const machine = this.machine(node);
    return machine.isUp && machine.storeId === (storeId ?? `store-${node}`);
  }

  #isReachable(node: NodeId): boolean {
    const machine = this.machine(node);
    return machine.isUp && this.state.nodes.get(node)?.storeId === machine.storeId;
  }

  /** Everybody does something, of what they can. */
  async turn(isLate: boolean): Promise<void> {
    const { random } = this;
    for (const machine of this.machines) {
      const last = this.#states.length - 1;
      if (machine.isUp) machine.applied = isLate ? random.int(machine.applied, last) : last;
    }
    for (const group of this.groups) {
      group.elect(isLate && random.chance(0.05));
      if (!isLate || random.chance(0.7)) group.advance();
    }
    await settled();
    this.#lead();
    this.#report(isLate);
    for (const machine of this.machines) this.#register(machine);
    for (const order of this.orders) if (!isLate || random.chance(0.2)) this.#give(order, isLate);
    for (const wish of this.wishes) if (!isLate || random.chance(0.3)) this.#wish(wish);
    for (let tick = 0; tick < 10; tick++) this.#work?.work.tick();
    await settled();
    for (const asked of this.#asked) if (!isLate || random.chance(0.5)) this.#deliver(asked);
    if (isLate && this.#late.length > 0 && random.chance(0.1)) {
      const wish = random.pick(this.#late);
      this.#group(wish.shard)
        .ask({ type: 'changeMember', ...wish })
        .catch(() => undefined);
    }
    await settled();
  }

  #group(shard: ShardId): WalkGroup {
    return this.groups[shard];
  }

  /** Whoever leads the placement group does what is to be done. */
  #lead(): void {
    const { leader } = this.placement;
    if (leader === this.#work?.leader) return;
    this.#work?.work.close();
    this.#work = undefined;
    if (leader === undefined) return;
    const work = new MembershipWork({
      nodeId: leader.node,
      logger: silentLogger,
      group: new LedPlacement(this, leader) as unknown as MembershipWorkOptions['group'],
      changes: { changeMember: (wish, _, signal) => this.#ask(wish, signal) },
      founders: this.#founders,
      isReachable: (node) => this.#isReachable(node),
      onFailure: (error) => {
        throw error;
      },
    });
    this.#work = { leader, work };
  }

  /** By the leader of the placement group. */
  decide(decision: Decision): void {
    const { state } = this;
    const changes = decision(state, this.placement.descriptor);
    if (changes.length > 0) this.#states.push(inOrder(after(this.#states[this.#states.length - 1], changes)));
    for (const { node } of this.machines) {
      const [was, is] = [nodeStage(state, node), nodeStage(this.state, node)];
      if (was === 'leaving' && is === 'vacant') this.marks.vacated++;
      if (!isGone(state, node) && isGone(this.state, node)) this.marks.removed++;
    }
  }

  #ask(wish: MemberWish, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const asked: Asked = {
        wish,
        signal,
        isThere: false,
        turns: 0,
        end: (error) => {
          this.#asked = this.#asked.filter((other) => other !== asked);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      signal.addEventListener('abort', () => asked.end(signal.reason as QuorateError));
      this.#asked.push(asked);
      this.#late.push(wish);
    });
  }

  #deliver(asked: Asked): void {
    const { wish } = asked;
    if (++asked.turns > turnsOfStepMax) asked.end(new QuorateError('DEADLINE_EXCEEDED', 'it takes long'));
    if (asked.isThere) return;
    asked.isThere = true;
    this.#group(wish.shard)
      .ask({ type: 'changeMember', ...wish })
      .then(
        () => {
          asked.end(undefined);
        },
        (error: QuorateError) => {
          asked.isThere = false;
          if (error.code === 'INVALID_ARGUMENT' || error.code === 'EPOCH_MISMATCH') asked.end(error);
        },
      );
  }

  /** The leaders of shards say who their members are. */
  #report(isLate: boolean): void {
    if (this.placement.leader === undefined) return;
    for (const group of this.groups.slice(1)) {
      const { shard } = group.descriptor;
      const known = this.#mapped.get(shard)?.epoch.membership ?? 0;
      const newer = group.history.filter((of) => of.epoch.membership > known && !isJoint(of.configuration));
      const next = isLate ? this.random.pick([undefined, undefined, ...newer]) : newer.at(-1);
      if (next !== undefined && group.leader !== undefined) {
        this.#mapped.set(shard, next);
      }
    }
  }

  /** A machine with an empty disk comes in, when it may. */
  #register(machine: Machine): void {
    const { node, storeId, isUp } = machine;
    const { state } = this;
    if (!isUp || this.placement.leader === undefined || state.nodes.get(node)?.storeId === storeId) return;
    // What others would say to it.
    if (storeFault(state, { nodeId: node, storeId }, undefined) !== undefined) return;
    if (state.nodes.has(node)) return;
    this.decide((known) => registration(known, record(node, storeId)));
    this.marks.cameAgain++;
  }

  /** An operator's command, which may be given again. */
  #give(order: Order, isLate: boolean): void {
    const { node, storeId, type } = order;
    const { leader } = this.placement;
    const { state } = this;
    const isDone =
      state.retiredStores.has(storeId) &&
      (type === 'replace' || isGone(state, node) || state.nodes.get(node)?.storeId !== storeId);
    if (isDone) {
      this.orders = this.orders.filter((other) => other !== order);
      if (type === 'remove') this.#emptyDisk(this.machine(node), !isLate || this.random.chance(0.5));
      return;
    }
    const targets = state.removals.get(node)?.moves ?? [];
    const isStuck = targets.some(({ shard }) => !this.#isReachable(routeOf(state, node, shard)[0]));
    if (leader === undefined || (order.hasBegun && !this.#givesAgain && !isStuck)) return;
    const isReachable = (other: NodeId): boolean => other === leader.node || this.#isReachable(other);
    const routes = (): string => JSON.stringify([...this.state.removals.values()]);
    const before = routes();
    try {
      this.decide((known, placement) => {
        const facts = { groups: groupsOf(known, placement), founders: this.#founders, isReachable };
        return type === 'replace' ? replacementBegin(known, node, facts) : removalBegin(known, node, facts, storeId);
      });
      order.hasBegun = true;
      if (before !== routes() && state.removals.has(node)) this.marks.retargeted++;
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      this.marks.refused++;
    }
  }

  /** An operator's wish, on its way for as long as it takes. */
  #wish(wish: Wish): void {
    const { shard, members } = wish;
    if (members.voters.some((node) => isGone(this.state, node))) {
      // The operator gives up; what he has done so far stays.
      this.abandoned.add(shard);
      this.wishes = this.wishes.filter((other) => other !== wish);
      return;
    }
    if (wish.isUnderWay) return;
    wish.isUnderWay = true;
    const group = this.#group(shard);
    const report = (descriptor: GroupDescriptor): void => {
      const { leader } = this.placement;
      if (leader === undefined) throw new QuorateError('NOT_LEADER', 'nobody leads');
      const told = withLearners(descriptor, descriptor.configuration.learners);
      this.decide((state) => membersReported(state, told, true).filter(({ key }) => placementKeyType(key) !== 'shard'));
      if ((this.#mapped.get(shard)?.epoch.membership ?? 0) < descriptor.epoch.membership)
        this.#mapped.set(shard, descriptor);
    };
    group
      .ask({ type: 'changeMembers', shard, members })
      .then((descriptor) => {
        report(descriptor);
        return group.seal(descriptor);
      })
      .then(() => {
        this.learning.set(shard, members.learners.length);
        this.wishes = this.wishes.filter((other) => other !== wish);
        this.marks.wished++;
      })
      .catch((error: unknown) => {
        if (!(error instanceof QuorateError)) throw error;
        wish.isUnderWay = false;
      });
  }

  /** An operator wishes for something, if it can be had. */
  wish(): void {
    const { random, state } = this;
    const shard = ShardId(random.int(1, this.groups.length - 1));
    const able = [...state.nodes.keys()].filter((node) => nodeStage(state, node) === undefined);
    const isBusy = this.wishes.length > 0 || this.orders.length > 0 || plannedFor(state, shard) !== undefined;
    // With a learner there is still room for a replica of each of two nodes that go.
    if (isBusy || able.length < replicasOfShard + 3) return;
    const nodes = random.shuffle(able);
    const learners = nodes.slice(replicasOfShard, replicasOfShard + random.int(0, 1));
    this.wishes.push({ shard, members: { voters: nodes.slice(0, replicasOfShard), learners }, isUnderWay: false });
  }

  #emptyDisk(machine: Machine, isUp: boolean): void {
    machine.storeId = `store-${machine.node}-${++this.#stores}`;
    machine.isUp = isUp;
    machine.applied = 0;
  }

  /** Something happens to a machine, but only one is down, or without what it had, at a time. */
  strike(): void {
    const { random } = this;
    const whole = this.machines.every(
      ({ node, isUp, storeId }) => isGone(this.state, node) || (isUp && this.#isWhole(node, storeId)),
    );
    const machine = random.pick([...this.machines]);
    const { node } = machine;
    if (!machine.isUp) {
      machine.isUp = true;
      return;
    }
    const isOrdered = this.orders.some((order) => order.node === node);
    if (!whole || isOrdered || !this.#isWhole(node, machine.storeId)) return;
    const inService = [...this.state.nodes.keys()].filter((of) => nodeStage(this.state, of) === undefined);
    const kind = random.pick(['stop', 'stop', 'lose', 'remove'] as const);
    if (kind === 'stop') machine.isUp = false;
    else if (
      kind === 'lose' &&
      inService.length > replicasOfShard &&
      this.groups.every((group) => survives(group.descriptor, node))
    ) {
      this.orders.push({ type: 'replace', node, storeId: machine.storeId, hasBegun: false });
      this.#emptyDisk(machine, random.chance(0.7));
    } else if (kind === 'remove' && inService.length > replicasOfShard + 1 && this.orders.length < 3) {
      this.orders.push({ type: 'remove', node, storeId: machine.storeId, hasBegun: false });
    }
  }

  /** The node is as the placement group wants it, with all that it has had. */
  #isWhole(node: NodeId, storeId: string): boolean {
    return this.state.nodes.get(node)?.storeId === storeId && nodeStage(this.state, node) !== 'joining';
  }

  /** All faults end. */
  heal(): void {
    for (const machine of this.machines) machine.isUp = true;
    this.#late = [];
  }

  close(): void {
    this.#work?.work.close();
  }
}
