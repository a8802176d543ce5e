/** `quorate shard …`: its command lines. What they do is in `commands/shard.ts`. */
import { InvalidArgumentError, type Command } from 'commander';

import { clientOptions, durationOption, wholeNumber } from './options.js';

interface ReplicasFlags {
  readonly nodes: readonly number[];
  readonly learners?: readonly number[];
  readonly changeTimeout: number;
}

export function addShardCommands(program: Command, done: (status: number) => void): void {
  const shard = program.command('shard').description('change where shards are');

  shard
    .command('replicas')
    .description('have these nodes, and no others, have replicas of a shard; waits until it is so')
    .argument('<shard>', 'its number, as in `status`', wholeNumber(0))
    .requiredOption('--nodes <list>', 'nodes whose replicas vote: 1,2,4', parseNodes)
    .option('--learners <list>', 'nodes whose replicas get all data and do not vote', parseNodes)
    .addOption(durationOption('--change-timeout <time>', 'how long the whole may take', 600_000))
    .action(async (id: number, flags: ReplicasFlags, command: Command) => {
      const { changeReplicas } = await import('./commands/shard.js');
      const { nodes: voters, learners = [], changeTimeout } = flags;
      done(await changeReplicas(clientOptions(command), id, { voters, learners }, changeTimeout));
    });
}

function parseNodes(list: string): readonly number[] {
  const nodes = list.split(',').map((text) => (/^[1-9]\d{0,14}$/.test(text.trim()) ? Number(text) : undefined));
  return nodes.map((node) => {
    if (node === undefined) throw new InvalidArgumentError('Expected ids of nodes: 1,2,4.');
    return node;
  });
}
