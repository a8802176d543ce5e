/**
 * What is to be done next so that replicas are where the placement group wants them, all of it at a time. Pure.
 *
 * Every node has a replica of the placement group, for it needs the shard map. As many of them vote as when the group was formed: the
 * others learn, and one of these votes instead when a voter leaves.
 */
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import type { GroupDescriptor } from '../shard/group-descriptor.js';
import { groupsOf, hasReplicaOn, isMoved, isTakingOver, nodeStage, routeOf, votersOf } from './node-registry.js';
import type { GroupMembers } from './node-registry.js';
import type { PlacementState } from './placement-state.js';

export type MembershipStep =
  /** The node's replica of the group is to go. */
  | { readonly type: 'leave'; readonly node: NodeId; readonly shard: ShardId }
  /** The node is to have a replica of the group; of `instead` none is to have one, and the first goes. */
  | {
      readonly type: 'join';
      readonly node: NodeId;
      readonly shard: ShardId;
      readonly role: 'voter' | 'learner';
      readonly instead: readonly NodeId[];
    }
  /** The node has got a replica that its plan does not know of, which is made anew before that replica goes. */
  | { readonly type: 'plan'; readonly node: NodeId }
  /** Replicas have gone where the node's plan has them: it is done with these. */
  | { readonly type: 'strike'; readonly node: NodeId }
  /** The node has no replica any more, and another directory may come. */
  | { readonly type: 'vacate'; readonly node: NodeId }
  /** The node has no replica any more, and is gone. */
  | { readonly type: 'remove'; readonly node: NodeId };

export interface MembershipFacts {
  readonly state: PlacementState;
  /** The placement group, as its leader has it; the shards are as the map has them, which may be behind. */
  readonly placement: GroupDescriptor;
  /** Voters of the placement group, when all is well. */
  readonly seats: number;
  /** Groups whose leader has said since the node began to leave that it has no replica of them. */
  readonly left: (node: NodeId) => ReadonlySet<ShardId>;
  readonly isReachable: (node: NodeId) => boolean;
}

export function membershipSteps(facts: MembershipFacts): readonly MembershipStep[] {
  const { replacements, removals } = facts.state;
  const steps = [
    ...strays(facts),
    ...[...replacements.keys()].flatMap((node) => replacementSteps(facts, node)),
    ...[...removals.keys()].flatMap((node) => departureSteps(facts, node, 'remove')),
    ...seatSteps(facts),
  ];
  return steps.filter((step) => step.type !== 'join' || facts.isReachable(step.node));
}

/** Replicas in directories that are out of use: a leader made them that had not heard of that yet. */
function strays({ state, placement }: MembershipFacts): MembershipStep[] {
  const steps: MembershipStep[] = [];
  for (const { shard, replicas } of groupsOf(state, placement)) {
    for (const { node, storeId } of replicas) {
      if (storeId !== undefined && state.retiredStores.has(storeId)) steps.push({ type: 'leave', node, shard });
    }
  }
  return steps;
}

function replacementSteps(facts: MembershipFacts, node: NodeId): MembershipStep[] {
  const { state } = facts;
  switch (nodeStage(state, node)) {
    case 'leaving':
      return departureSteps(facts, node, 'vacate');
    case 'joining': {
      const { shards = [], learning = [] } = state.replacements.get(node) ?? {};
      // Without a replica of the placement group the node does not know of any shard.
      if (!shards.includes(placementShardId))
        return shards.map((shard): MembershipStep => {
          const role = learning.includes(shard) ? 'learner' : 'voter';
          return { type: 'join', node, shard, role, instead: [] };
        });
      return [{ type: 'join', node, shard: placementShardId, role: seatOf(facts, node), instead: [] }];
    }
    case 'vacant':
    case 'draining':
    case undefined:
      return [];
  }
}

/**
 * Also groups that have no replica on the node, as far as is known, are asked; and what is planned is done, also where it has left. Of a
 * group in which the node is to go by the plan of another one, it takes no step itself.
 */
function departureSteps(facts: MembershipFacts, node: NodeId, end: 'vacate' | 'remove'): MembershipStep[] {
  const { state, placement } = facts;
  const groups = groupsOf(state, placement);
  const left = facts.left(node);
  const unplanned = groups.filter((group) => hasReplicaOn(group, node) && !isPlanned(state, node, group));
  const hasLeft = ({ shard }: GroupMembers): boolean => left.has(shard) && routeOf(state, node, shard).length === 0;
  const moved = groups.filter((group) => isMoved(state, node, group));
  const isOthers = (group: GroupMembers): boolean => end === 'remove' && isTakingOver(state, node, group);
  const isOpen = (group: GroupMembers): boolean => !hasLeft(group) && !isOthers(group) && !moved.includes(group);
  const others = groups.filter((group) => isOpen(group) && !unplanned.includes(group));
  const shards = others.filter(({ shard }) => shard !== placementShardId);
  // Last it leaves the placement group: it may lead a shard until then, and has to know of the node that takes its place.
  const hasShards = shards.length + unplanned.length + moved.length > 0 || groups.some(isOthers);
  const steps: MembershipStep[] = (end === 'vacate' || !hasShards ? others : shards).map((group) =>
    departureStep(facts, node, group),
  );
  if (unplanned.length > 0) steps.unshift({ type: 'plan', node });
  if (moved.length > 0) steps.unshift({ type: 'strike', node });
  if (hasShards || others.length > 0) return steps;
  return groups.some((group) => hasReplicaOn(group, node)) ? [] : [{ type: end, node }];
}

/**
 * Whether it is known what comes in place of the replica on the node. A plan is made from a map that may be behind: a replica that was
 * on its way to the node then would go, and nothing come for it.
 */
function isPlanned(state: PlacementState, node: NodeId, group: GroupMembers): boolean {
  const { shard } = group;
  if (nodeStage(state, node) === 'leaving')
    return state.replacements.get(node)?.shards.includes(shard) === true || isTakingOver(state, node, group);
  return shard === placementShardId || routeOf(state, node, shard).length > 0 || isTakingOver(state, node, group);
}

function departureStep(facts: MembershipFacts, node: NodeId, group: GroupMembers): MembershipStep {
  const { state } = facts;
  const { shard } = group;
  const [to, ...givenUp] = shard === placementShardId ? successor(facts, node) : routeOf(state, node, shard);
  if (to === undefined) return { type: 'leave', node, shard };
  // An operator's wish may have given the node a vote since the plan was made.
  const votes = votersOf(group).some((voter) => voter.node === node);
  const learned = state.removals.get(node)?.learning.includes(shard) === true;
  return { type: 'join', node: to, shard, role: learned && !votes ? 'learner' : 'voter', instead: [node, ...givenUp] };
}

/** Who takes the seat of a voter of the placement group: nobody where one does already, of which the voter, who led, has been told. */
function successor(facts: MembershipFacts, node: NodeId): readonly NodeId[] {
  const { placement, seats } = facts;
  const voting = voters(placement);
  const leavesSeat = voting.includes(node) && voting.length <= seats;
  return leavesSeat ? learners(facts).filter(facts.isReachable).slice(0, 1) : [];
}

/** A node without a replica of the placement group gets one; a seat that is free is taken. */
function seatSteps(facts: MembershipFacts): MembershipStep[] {
  const { state, placement, seats, isReachable } = facts;
  const shard = placementShardId;
  const ready = inService(state).filter(isReachable);
  const newcomer = ready.find((node) => !hasReplicaOn(placement, node));
  if (newcomer !== undefined)
    return [{ type: 'join', node: newcomer, shard, role: seatOf(facts, newcomer), instead: [] }];
  const next = voters(placement).length < seats ? learners(facts).find(isReachable) : undefined;
  return next === undefined ? [] : [{ type: 'join', node: next, shard, role: 'voter', instead: [] }];
}

function seatOf({ placement, seats }: MembershipFacts, node: NodeId): 'voter' | 'learner' {
  const voting = voters(placement);
  return voting.includes(node) || voting.length < seats ? 'voter' : 'learner';
}

function voters({ replicas, configuration }: GroupDescriptor): readonly NodeId[] {
  return replicas.filter(({ replica }) => configuration.voters.includes(replica)).map(({ node }) => node);
}

function learners({ state, placement }: MembershipFacts): readonly NodeId[] {
  const voting = voters(placement);
  return inService(state).filter((node) => hasReplicaOn(placement, node) && !voting.includes(node));
}

/** By id. */
function inService(state: PlacementState): NodeId[] {
  return [...state.nodes.keys()].filter((node) => nodeStage(state, node) === undefined).sort((a, b) => a - b);
}
