/** `quorate node …`: its command lines. What they do is in `commands/node.ts`. */
import type { Command } from 'commander';

import { clientOptions, durationOption, wholeNumber } from './options.js';

export function addNodeCommands(program: Command, done: (status: number) => void): void {
  const node = program
    .command('node')
    .description(
      'nodes: list, replace, remove; one is added by starting it with clientAddress and peerAddress (docs/operations.md)',
    );

  node
    .command('list')
    .description('show which nodes there are, and which of them are being replaced or removed')
    .action(async (_flags: unknown, command: Command) => {
      const { listNodes } = await import('./commands/node.js');
      done(await listNodes(clientOptions(command)));
    });

  node
    .command('replace')
    .description(
      'take the data directory of a node that is down out of use for good; waits until an empty one may take its place',
    )
    .argument('<node>', 'its id, as in `status`', wholeNumber(1))
    .addOption(durationOption('--replace-timeout <time>', 'how long to wait', 600_000))
    .action(async (id: number, flags: { replaceTimeout: number }, command: Command) => {
      const { replaceNode } = await import('./commands/node.js');
      done(await replaceNode(clientOptions(command), id, flags.replaceTimeout));
    });

  node
    .command('remove')
    .description(
      'move the replicas of a node, up or down, to other nodes, and have it leave the cluster; waits until it is gone',
    )
    .argument('<node>', 'its id, as in `status`', wholeNumber(1))
    .addOption(durationOption('--remove-timeout <time>', 'how long to wait', 600_000))
    .action(async (id: number, flags: { removeTimeout: number }, command: Command) => {
      const { removeNode } = await import('./commands/node.js');
      done(await removeNode(clientOptions(command), id, flags.removeTimeout));
    });
}
