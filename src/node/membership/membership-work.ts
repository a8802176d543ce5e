/**
 * What the placement leader does so that replicas are where they are wanted: takes the steps of placement/membership-steps.ts, one of
 * a group at a time, and enters in the group's state what they have come to. A step that fails, or whose leader changed, is due again.
 *
 * Invariant: what is not due any more, or not by this node, is not asked for again. A plan may have been changed by then, and who goes on
 * with the old one gives replicas to nodes that are to have none, and which nobody takes away. What was asked for and comes late is
 * refused by the shard's leader, if the shard has changed since: each step names the membership epoch that it was decided on.
 */
import { QuorateError } from '../../base/errors.js';
import { placementShardId, type NodeId, type ShardId } from '../../base/ids.js';
import type { Logger } from '../../env/logger.js';
import { membershipSteps, type MembershipStep } from '../../placement/membership-steps.js';
import { groupsOf, isLeaving, nodeStage, storeInUse, votersOf } from '../../placement/node-registry.js';
import { movesDone, removalBegin, removalEnd } from '../../placement/node-removal.js';
import { rejoined, replacementAmended, vacancy } from '../../placement/node-replacement.js';
import type { PlacementChange } from '../../placement/placement-format.js';
import type { PlacementState } from '../../placement/placement-state.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import type { GroupDescriptor } from '../../shard/group-descriptor.js';
import type { PlacementGroup } from '../placement-group.js';
import type { ReplicaChanges } from './replica-changes.js';

export interface MembershipWorkOptions {
  readonly nodeId: NodeId;
  readonly logger: Logger;
  readonly group: Pick<PlacementGroup, 'state' | 'replica' | 'decide'>;
  readonly changes: Pick<ReplicaChanges, 'changeMember'>;
  /** Nodes of the placement group as it was formed: as many are to vote. */
  readonly founders: readonly NodeId[];
  readonly isReachable: (node: NodeId) => boolean;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

type MemberStep = Extract<MembershipStep, { readonly type: 'leave' | 'join' }>;

interface StepUnderWay {
  readonly step: MembershipStep;
  readonly giveUp: AbortController;
}

/** Between two looks at what is to be done, in ticks. */
const lookTicks = 10;
/** Of one step; one that takes longer is taken again. */
const stepMsMax = 30_000;
/** Steps under way at a time: what each moves adds up. */
const stepsMax = 8;

export class MembershipWork {
  readonly #options: MembershipWorkOptions;
  /** By the group, or the node. */
  readonly #underWay = new Map<string, StepUnderWay>();
  /** Which of the steps that are due was taken when, as the how many. */
  readonly #taken = new Map<string, number>();
  #takes = 0;
  /** Groups that have said that they have no replica on a node that leaves, by the node and its data directory. */
  readonly #left = new Map<string, Set<ShardId>>();
  #ticksToLook = lookTicks;

  constructor(options: MembershipWorkOptions) {
    this.#options = options;
  }

  tick(): void {
    if (--this.#ticksToLook > 0) return;
    this.#ticksToLook = lookTicks;
    this.#look();
  }

  #look(): void {
    const steps = this.#due();
    for (const { step, giveUp } of this.#underWay.values()) {
      if (!steps.some((due) => isSame(due, step))) giveUp.abort(noLongerDue());
    }
    for (const step of this.#inTurn(steps)) {
      const key = keyOf(step);
      if (this.#underWay.has(key) || this.#underWay.size >= stepsMax) continue;
      const giveUp = new AbortController();
      this.#underWay.set(key, { step, giveUp });
      this.#taken.set(nameOf(step), ++this.#takes);
      void this.#take(step, giveUp.signal).then((isDone) => {
        this.#underWay.delete(key);
        // What comes after it waits for the next tick only: not for none, in case nothing has changed.
        if (isDone) this.#ticksToLook = 0;
      });
    }
  }

  /** Those first that were taken longest ago: one that fails again and again must not keep others of its group waiting. */
  #inTurn(steps: readonly MembershipStep[]): readonly MembershipStep[] {
    const names = new Set(steps.map(nameOf));
    for (const name of this.#taken.keys()) if (!names.has(name)) this.#taken.delete(name);
    const takenAt = (step: MembershipStep): number => this.#taken.get(nameOf(step)) ?? 0;
    return [...steps].sort((a, b) => takenAt(a) - takenAt(b));
  }

  /** By this node. */
  #due(): readonly MembershipStep[] {
    const { nodeId, group, founders, isReachable } = this.#options;
    const { state, replica } = group;
    const leads = replica?.isReadyLeader === true;
    if (!leads || state.replacements.size + state.removals.size === 0) this.#left.clear();
    if (!leads) return [];
    return membershipSteps({
      state,
      placement: replica.descriptor,
      seats: founders.length,
      left: (node) => this.#leftBy(node),
      isReachable: (node) => node === nodeId || isReachable(node),
    });
  }

  #leftBy(node: NodeId): Set<ShardId> {
    const key = `${node} ${this.#options.group.state.nodes.get(node)?.storeId ?? ''}`;
    let left = this.#left.get(key);
    if (left === undefined) this.#left.set(key, (left = new Set()));
    return left;
  }

  /** Resolves to whether it has come to its end. */
  async #take(step: MembershipStep, signal: AbortSignal): Promise<boolean> {
    const { group, logger, onFailure } = this.#options;
    const { type, node } = step;
    try {
      switch (type) {
        case 'plan':
          await group.decide((state, placement) => this.#planned(state, placement, node));
          return true;
        case 'strike':
          await group.decide((state) => movesDone(state, node));
          return true;
        case 'vacate':
          await group.decide((state, placement) => vacancy(state, node, groupsOf(state, placement)));
          logger.info('a node that is replaced has no replicas any more', { node });
          return true;
        case 'remove':
          await group.decide((state, placement) => removalEnd(state, node, groupsOf(state, placement)));
          logger.info('a node is removed', { node });
          return true;
        case 'leave':
        case 'join':
          return await this.#change(step, signal);
      }
    } catch (error) {
      if (!(error instanceof QuorateError)) onFailure(error);
      else logger.debug('a step to move replicas failed', { step: type, node, error: error.message });
      return false;
    }
  }

  #planned(state: PlacementState, placement: GroupDescriptor, node: NodeId): readonly PlacementChange[] {
    const { nodeId, founders } = this.#options;
    const groups = groupsOf(state, placement);
    const isReachable = (other: NodeId): boolean => other === nodeId || this.#options.isReachable(other);
    return nodeStage(state, node) === 'draining'
      ? removalBegin(state, node, { groups, founders, isReachable })
      : replacementAmended(state, node, groups);
  }

  async #change(step: MemberStep, signal: AbortSignal): Promise<boolean> {
    const { group, changes, logger } = this.#options;
    const { node, shard } = step;
    const storeId = storeInUse(group.state, node);
    const { role, instead } = step.type === 'join' ? step : ({ role: 'none', instead: [] } as const);
    const goes = step.type === 'leave' ? node : instead.at(0);
    // A stray replica goes, not the node.
    const left = goes !== undefined && isLeaving(group.state, goes) ? this.#leftBy(goes) : undefined;
    // What the step was decided on, since both are of this turn.
    const membership = this.#inMap(shard)?.epoch.membership ?? 0;
    await changes.changeMember({ shard, node, role, storeId, instead, membership }, stepMsMax, signal);
    left?.add(shard);
    const known = this.#inMap(shard)?.replicas.find((replica) => replica.node === node);
    if (step.type === 'leave') return known === undefined;
    logger.info('a node has a replica that it was to have', { node, shard, role, instead });
    // While the map is behind, the shard stays among those that the node is to have: also where it has it as a learner still, or who is
    // replaced again would come back as one.
    if (known === undefined || known.storeId !== storeId || (role === 'voter' && !this.#votes(shard, node)))
      return false;
    await group.decide((state) => rejoined(state, node, shard));
    return true;
  }

  #inMap(shard: ShardId): ShardDescriptor | undefined {
    const { replica, state } = this.#options.group;
    return shard === placementShardId ? replica?.descriptor : state.shardMap.byId(shard);
  }

  #votes(shard: ShardId, node: NodeId): boolean {
    const known = this.#inMap(shard);
    return known !== undefined && votersOf(known).some((voter) => voter.node === node);
  }

  /** Ends what waits. */
  close(): void {
    const stopping = new QuorateError('NODE_STOPPING', 'the node is stopping', { outcome: 'unknown' });
    for (const { giveUp } of this.#underWay.values()) giveUp.abort(stopping);
  }
}

/** One of a group at a time, and one decision about a node. */
function keyOf(step: MembershipStep): string {
  return 'shard' in step ? `shard ${step.shard}` : `node ${step.node}`;
}

function nameOf(step: MembershipStep): string {
  return `${keyOf(step)} ${step.type} ${step.node}`;
}

function isSame(a: MembershipStep, b: MembershipStep): boolean {
  if (a.type !== b.type || a.node !== b.node) return false;
  if (!('shard' in a) || !('shard' in b)) return true;
  if (a.type !== 'join' || b.type !== 'join') return a.shard === b.shard;
  return a.shard === b.shard && a.role === b.role && String(a.instead) === String(b.instead);
}

function noLongerDue(): QuorateError {
  return new QuorateError('NOT_LEADER', 'it is not due any more, or another node leads', { outcome: 'unknown' });
}
