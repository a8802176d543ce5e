/** Has shards be on other nodes while everything else goes on: a fault like the others, which ends with its asking. */
import { placementShardId } from '../base/ids.js';
import type { NodeId, ShardId } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import type { Replica } from '../shard/replica.js';
import type { WantedMembers } from '../shard/member-changes.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';
import type { Fault } from './fault.js';

const askAgainMs = 300;
/** That the leader is alone with what it then proposes, until others have another leader. */
const cutOffChance = 0.2;
const cutOffMs = { min: 2000, max: 6000 } as const;

/**
 * Of any shard that has a leader. Asks the leader, and the next one when that has handed over, until the fault is over.
 *
 * @param cutOff has nothing get through between a machine and the others
 */
export function changeMembers(
  cluster: SimCluster,
  random: Prng,
  cutOff: (machine: SimMachine) => Fault,
): Fault | undefined {
  const leading = cluster.machines.flatMap((machine) => leadersOn(machine).map((leader) => ({ machine, leader })));
  if (leading.length === 0) return undefined;
  const { machine, leader } = random.pick(leading);
  const { shard, descriptor } = leader;
  const isPlacement = shard === placementShardId;
  const everywhere = cluster.machines.map(({ id }) => id);
  const nodes = random.shuffle(isPlacement ? descriptor.replicas.map(({ node }) => node) : everywhere);
  const wanted = drawMembers(nodes, isPlacement, random);
  const cut = random.chance(cutOffChance) ? cutOff(machine) : undefined;
  const lastsMs = cut && random.int(cutOffMs.min, cutOffMs.max);
  let [isDone, isOver] = [false, false];
  const ask = (): void => {
    if (isDone || isOver) return;
    cluster.scheduler.schedule(askAgainMs, 'asks for members again', ask);
    askLeader(cluster, shard, wanted, () => {
      isDone = true;
    });
  };
  ask();
  return {
    lastsMs,
    end: () => {
      isOver = true;
      cut?.end();
    },
    hadEffect: () => isDone,
  };
}

/** The replicas of the placement group stay where they are. */
function drawMembers(nodes: readonly NodeId[], allStay: boolean, random: Prng): WantedMembers {
  const voters = nodes.slice(0, random.int(1, nodes.length));
  const rest = nodes.slice(voters.length);
  return { voters, learners: rest.filter(() => allStay || random.chance(0.3)) };
}

function leadersOn({ node }: SimMachine): Replica[] {
  return (node?.host.shards ?? []).map(({ replica }) => replica).filter((replica) => replica.isReadyLeader);
}

function askLeader(cluster: SimCluster, shard: ShardId, wanted: WantedMembers, done: () => void): void {
  for (const machine of cluster.machines) {
    const replica = leadersOn(machine).find((leader) => leader.shard === shard);
    if (replica === undefined) continue;
    machine.process?.enter(() => {
      // It may have stood still, and lead no more.
      if (!replica.isReadyLeader) return;
      replica.changeMembers(wanted, (error) => {
        if (error === undefined) done();
      });
    });
    return;
  }
}
