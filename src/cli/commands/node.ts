/** `quorate node …`: which nodes there are, another data directory for one that has lost its own, and the end of one. */
import { printJson, printLine } from '../output.js';
import { withClient, type CommandContext } from '../session.js';
import { nodesTable, nodesToJson } from '../status-view.js';

export function listNodes(context: CommandContext): Promise<number> {
  return withClient(context, async (client) => {
    const status = await client.status();
    if (context.json) await printJson(nodesToJson(status));
    else await printLine(nodesTable(status));
    return 0;
  });
}

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

export function removeNode(context: CommandContext, node: number, deadlineMs: number): Promise<number> {
  return withClient(context, async (client) => {
    await client.removeNode(node, { deadlineMs });
    if (context.json) await printJson({ node, removed: true });
    else
      await printLine(`node ${node} is removed: its replicas are on other nodes, and its data directory is out of use`);
    return 0;
  });
}
