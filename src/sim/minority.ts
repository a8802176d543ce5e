/**
 * What stays broken when the faults of a run are over for a quorum first: a minority of the machines that formed the cluster, each in a
 * way of its own, or one line between two machines. Whatever it is, every group that could decide still can.
 */
import { placementShardId, ShardId } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import { firstShardMap, placementDescriptor } from '../placement/bootstrap.js';
import { hasQuorum } from '../raft/quorum.js';
import { type GroupDescriptor, newGroup } from '../shard/group-descriptor.js';
import { nodeOf } from '../shard/descriptor.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';
import { waysToBreak, type WayToBreak } from './ways-to-break.js';

export type Minority = ReadonlyMap<SimMachine, WayToBreak>;
export type IsAble = (machine: SimMachine) => boolean;

/** Of the machines that are able, as many as less than half of the founders allow; perhaps none. */
export function drawMinority(cluster: SimCluster, isAble: IsAble, random: Prng): Minority {
  const founders = cluster.founders.map(({ id }) => cluster.machine(id));
  const able = founders.filter(isAble);
  const countMax = ((founders.length - 1) >> 1) - (founders.length - able.length);
  const minority = new Map<SimMachine, WayToBreak>();
  const count = random.int(1, Math.max(1, countMax));
  for (const machine of countMax > 0 ? random.shuffle(able) : []) {
    const isLeft = (other: SimMachine): boolean => isAble(other) && other !== machine && !minority.has(other);
    if (minority.size < count && !isNeeded(cluster, isAble, isLeft)) minority.set(machine, random.pick(waysToBreak));
  }
  return minority;
}

/** Whether a group can decide with those who are able, and cannot with those who would be left. One voter is no reason. */
function isNeeded(cluster: SimCluster, isAble: IsAble, isLeft: IsAble): boolean {
  return groupsOf(cluster).some((group) => {
    const { voters, votersOutgoing } = group.configuration;
    const hasOneVoter = voters.length === 1 && votersOutgoing.length === 0 && group.shard !== placementShardId;
    return !hasOneVoter && canDecide(cluster, group, isAble) && !canDecide(cluster, group, isLeft);
  });
}

/**
 * Two founders between which nothing is to get through, where that leaves a bridge: all are able, and each group has more than two
 * voters, so that one of them hands on what is asked of a node that cannot reach its leader.
 */
export function drawLine(cluster: SimCluster, isAble: IsAble, random: Prng): readonly SimMachine[] {
  const founders = cluster.founders.map(({ id }) => cluster.machine(id));
  const isSmall = ({ configuration: { voters, votersOutgoing } }: GroupDescriptor): boolean =>
    [voters, votersOutgoing].some(({ length }) => length === 1 || length === 2);
  if (!founders.every(isAble) || groupsOf(cluster).some(isSmall)) return [];
  return random.shuffle(founders).slice(0, 2);
}

function canDecide(cluster: SimCluster, group: GroupDescriptor, isAble: IsAble): boolean {
  return hasQuorum(group.configuration, (replica) => {
    const node = nodeOf(group, replica);
    return node !== undefined && isAble(cluster.machine(node));
  });
}

/** Whether the shard and the placement group, which gives it its timestamps, can decide. */
export function canServe(cluster: SimCluster, shard: ShardId, isAble: IsAble): boolean {
  return [placementShardId, shard].every((each) => canDecide(cluster, groupOf(cluster, each), isAble));
}

function groupsOf(cluster: SimCluster): GroupDescriptor[] {
  return Array.from({ length: cluster.shards + 1 }, (_, shard) => groupOf(cluster, ShardId(shard)));
}

/** As whoever applied most knows it. */
function groupOf(cluster: SimCluster, shard: ShardId): GroupDescriptor {
  const { raftChecks, founders, shards: shardCount, replicationFactor } = cluster;
  const changed = raftChecks.group(shard);
  if (changed !== undefined) return changed;
  const nodes = founders.map(({ id }) => id);
  if (shard === placementShardId) return newGroup(placementDescriptor(nodes));
  return newGroup(firstShardMap({ nodes, shardCount, replicationFactor })[shard - 1]);
}

/** Before the other faults end: whose processes are to stay dead are so from now on. */
export function killMinority(minority: Minority, random: Prng): void {
  for (const [machine, way] of minority) {
    if (way !== 'deadMinority') continue;
    machine.crash(random.pick(['all', 'none', 'random']));
    machine.keepDown();
  }
}

/** After the other faults have ended. The result ends what is not a fault of the network, which is healed as a whole. */
export function breakMinority(cluster: SimCluster, minority: Minority, random: Prng): () => void {
  for (const [machine, way] of minority) {
    cluster.coverage.operated(way);
    cluster.scheduler.note(`${machine.name} is in the ${way}`);
    const { process, disk, name } = machine;
    if (way === 'pausedMinority') process?.pause();
    else if (way === 'stalledMinority') disk.stall();
    else if (way === 'fullMinority') disk.quotaBytes = disk.usedBytes() + random.pick([0, 1000, 10_000, 30_000]);
    else if (way === 'cutOffMinority') cluster.network.partition([[name], others(cluster, machine)]);
  }
  return () => {
    for (const machine of minority.keys()) mend(machine);
  };
}

function mend(machine: SimMachine): void {
  machine.letUp();
  machine.process?.resume();
  machine.disk.unstall();
  machine.disk.quotaBytes = Infinity;
  machine.start();
}

function others({ machines }: SimCluster, machine: SimMachine): string[] {
  return machines.filter((other) => other !== machine).map(({ name }) => name);
}
