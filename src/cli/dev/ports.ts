import { createServer } from 'node:net';

import { CommandFailure } from '../failure.js';
import type { DevNode } from './layout.js';

/** Throws a {@link CommandFailure} that names the first address of `nodes` that cannot be listened on. */
export async function checkPorts(nodes: readonly DevNode[]): Promise<void> {
  for (const address of nodes.flatMap(({ clientAddress, peerAddress }) => [clientAddress, peerAddress])) {
    const error = await tryListen(address);
    if (error === undefined) continue;
    const reason = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${error.message})`;
    throw new CommandFailure(
      `${address} ${reason}. Is another \`quorate dev\` running? Otherwise choose other ports with --port or QUORATE_PORT, ` +
        'and another folder with --data or QUORATE_DATA if it holds a cluster already.',
    );
  }
}

function tryListen(address: string): Promise<NodeJS.ErrnoException | undefined> {
  const colon = address.lastIndexOf(':');
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error));
    server.listen({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), exclusive: true }, () =>
      server.close(() => resolve(undefined)),
    );
  });
}
