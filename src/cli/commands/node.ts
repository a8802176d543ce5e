/** `quorate node replace`: another data directory for a node that has lost its own. */
import { printJson, printLine } from '../output.js';
import { withClient, type CommandContext } from '../session.js';

export function replaceNode(context: CommandContext, node: number, deadlineMs: number): Promise<number> {
  return withClient(context, async (client) => {
    await client.replaceNode(node, { deadlineMs });
    if (context.json) await printJson({ node, replaced: true });
    else
      await printLine(
        `node ${node} has no replicas any more: start it with an empty data directory, and it gets all back`,
      );
    return 0;
  });
}
