/** `quorate status`: nodes and shards, as tables or JSON. */
import { printJson, printLine } from '../output.js';
import { withClient, type CommandContext } from '../session.js';
import { statusTables, statusToJson } from '../status-view.js';

export function status(context: CommandContext): Promise<number> {
  return withClient(context, async (client) => {
    const current = await client.status();
    if (context.json) await printJson(statusToJson(current));
    else await printLine(statusTables(current));
    return 0;
  });
}
