import type { Scenario } from './scenario.js';

/** The groups that the node has a replica of which votes, as node `from` sees it, by shard: its replica's id. */
export function votesOn(scenario: Scenario, node: number, from: number): Map<number, number> {
  const votes = new Map<number, number>();
  for (const { replica } of scenario.machine(from).node?.host.shards ?? []) {
    const { replicas, configuration } = replica.descriptor;
    const id = replicas.find((member) => member.node === node)?.replica;
    if (id !== undefined && configuration.voters.includes(id)) votes.set(replica.shard, id);
  }
  return votes;
}

/** Until it votes in so many groups, and has their data. */
export async function rejoined(scenario: Scenario, node: number, from: number, groups: number): Promise<void> {
  const hasAll = (): boolean => {
    const replicas = scenario.machine(node).node?.host.shards.map(({ replica }) => replica) ?? [];
    const isWhole = replicas.length === groups && replicas.every(({ standing }) => standing === 'member');
    return isWhole && votesOn(scenario, node, from).size === groups;
  };
  await scenario.until(`node ${node} votes in ${groups} groups`, hasAll, 60_000);
}
