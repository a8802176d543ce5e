import { createServer } from 'node:net';

/** Below the ports that Linux, macOS and Windows take for outgoing connections by default. */
const portMin = 10_000;
const portMax = 29_999;
/** So many are tried for each that is asked for. */
const attemptsMax = 100;

/**
 * Ports of 127.0.0.1 that were free a moment ago, all different; for nodes that are started by tests.
 *
 * Not those that the system would choose (port 0), since it takes these for outgoing connections too: a node that is
 * down for a moment would find its port taken now and then, even by a peer's attempt to connect to it.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempts = 0; ports.size < count; attempts++) {
    if (attempts === count * attemptsMax) throw new Error(`no ${count} free ports from ${portMin} to ${portMax}`);
    const port = portMin + Math.floor(Math.random() * (portMax - portMin + 1));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
