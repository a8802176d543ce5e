/**
 * What the placement leader does so that replicas are where they are wanted: takes the steps of placement/membership-steps.ts, one of
 * a group at a time, and enters in the group's state what they have come to. A step that fails, or whose leader changed, is due again.
 */
import { QuorateError } from '../base/errors.js';
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import type { Logger } from '../env/logger.js';
import { membershipSteps, type MembershipStep } from '../placement/membership-steps.js';
import { groupsOf, storeInUse } from '../placement/node-registry.js';
import { removalEnd } from '../placement/node-removal.js';
import { rejoined, vacancy } from '../placement/node-replacement.js';
import type { ReplicaDescriptor } from '../shard/descriptor.js';
import type { PlacementGroup } from './placement-group.js';
import type { ReplicaChanges } from './replica-changes.js';

export interface MembershipWorkOptions {
  readonly nodeId: NodeId;
  readonly logger: Logger;
  readonly group: Pick<PlacementGroup, 'state' | 'replica' | 'decide'>;
  readonly changes: Pick<ReplicaChanges, 'changeMember'>;
  /** Voters of the placement group, when all is well. */
  readonly seats: number;
  readonly isReachable: (node: NodeId) => boolean;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

type MemberStep = Extract<MembershipStep, { readonly type: 'leave' | 'join' }>;

/** Between two looks at what is to be done, in ticks. */
const lookTicks = 10;
/** Of one step; one that takes longer is taken again. */
const stepMsMax = 30_000;
/** Steps under way at a time: what each moves adds up. */
const stepsMax = 8;

export class MembershipWork {
  readonly #options: MembershipWorkOptions;
  readonly #underWay = new Set<string>();
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
    const { nodeId, group, seats, isReachable } = this.#options;
    const { state, replica } = group;
    if (replica?.isReadyLeader !== true) {
      this.#left.clear();
      return;
    }
    const steps = membershipSteps({
      state,
      placement: replica.descriptor,
      seats,
      left: (node) => this.#leftBy(node),
      isReachable: (node) => node === nodeId || isReachable(node),
    });
    if (state.replacements.size + state.removals.size === 0) this.#left.clear();
    for (const step of steps) {
      const key = 'shard' in step ? `shard ${step.shard}` : `node ${step.node}`;
      if (this.#underWay.has(key) || this.#underWay.size >= stepsMax) continue;
      this.#underWay.add(key);
      void this.#take(step).then((isDone) => {
        this.#underWay.delete(key);
        // What comes after it waits for the next tick only: not for none, in case nothing has changed.
        if (isDone) this.#ticksToLook = 0;
      });
    }
  }

  #leftBy(node: NodeId): Set<ShardId> {
    const key = `${node} ${this.#options.group.state.nodes.get(node)?.storeId ?? ''}`;
    let left = this.#left.get(key);
    if (left === undefined) this.#left.set(key, (left = new Set()));
    return left;
  }

  /** Resolves to whether it has come to its end. */
  async #take(step: MembershipStep): Promise<boolean> {
    const { group, logger, onFailure } = this.#options;
    const { type, node } = step;
    try {
      switch (type) {
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
          return await this.#change(step);
      }
    } catch (error) {
      if (!(error instanceof QuorateError)) onFailure(error);
      else logger.debug('a step to move replicas failed', { step: type, node, error: error.message });
      return false;
    }
  }

  async #change(step: MemberStep): Promise<boolean> {
    const { group, changes, logger } = this.#options;
    const { node, shard } = step;
    const storeId = storeInUse(group.state, node);
    const instead = step.type === 'join' ? step.instead : undefined;
    const left = this.#leftBy(instead ?? node);
    const role = step.type === 'join' ? step.role : 'none';
    await changes.changeMember({ shard, node, role, storeId, instead }, stepMsMax);
    if (step.type === 'leave' || instead !== undefined) left.add(shard);
    const known = this.#inMap(shard)?.find((replica) => replica.node === node);
    if (step.type === 'leave') return known === undefined;
    logger.info('a node has a replica that it was to have', { node, shard, role, instead });
    // While the map is behind, the shard stays among those that the node is to have.
    if (known === undefined || known.storeId !== storeId) return false;
    await group.decide((state) => rejoined(state, node, shard));
    return true;
  }

  #inMap(shard: ShardId): readonly ReplicaDescriptor[] | undefined {
    const { replica, state } = this.#options.group;
    return (shard === placementShardId ? replica?.descriptor : state.shardMap.byId(shard))?.replicas;
  }
}
