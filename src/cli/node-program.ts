/** `quorate node …`: its command lines. What they do is in `commands/node.ts`. */
import type { Command } from 'commander';

import { clientOptions, durationOption, wholeNumber } from './options.js';

export function addNodeCommands(program: Command, done: (status: number) => void): void {
  const node = program.command('node').description('change which machines the nodes are');

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
}
