/** `quorate shard replicas`: which nodes have replicas of a shard. */
import type { ReplicaNodes } from '../../client/index.js';
import { printJson, printLine } from '../output.js';
import { withClient, type CommandContext } from '../session.js';

export function changeReplicas(
  context: CommandContext,
  shard: number,
  replicas: ReplicaNodes,
  deadlineMs: number,
): Promise<number> {
  return withClient(context, async (client) => {
    await client.changeReplicas(shard, replicas, { deadlineMs });
    const { voters, learners = [] } = replicas;
    if (context.json) await printJson({ shard, voters, learners });
    else {
      const learning = learners.length === 0 ? '' : `, learners on ${learners.join(', ')}`;
      await printLine(`shard ${shard} has replicas on nodes ${voters.join(', ')}${learning}`);
    }
    return 0;
  });
}
