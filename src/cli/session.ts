/** What a client command works with, and its connection. */
import { connect, type Client } from '../client/index.js';
import type { ClientOptions } from './options.js';

export type CommandContext = ClientOptions;

/** Connects, runs `body`, and closes whatever happens. */
export async function withClient(context: CommandContext, body: (client: Client) => Promise<number>): Promise<number> {
  await using client = await connect({ endpoints: context.endpoints, deadlineMs: context.timeoutMs });
  return await body(client);
}
