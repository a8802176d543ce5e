/** A node whose data directory is gone, as a real process: it must not come back as the node that it was. */
import { existsSync, rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { quorate, startProcesses, untilLogged } from './support.js';

test('a node whose disk was wiped stops with status 2 and the reason, and the others go on', async () => {
  await using cluster = await startProcesses();
  const { processes, client } = cluster;
  const lost = processes.node(2);
  // Before that it may be anybody.
  await untilLogged(lost, 'its registration', ({ msg }) => msg === 'the node is registered');
  expect(await lost.signal('SIGTERM')).toEqual({ status: 0, signal: null });
  rmSync(lost.dataDirectory, { recursive: true });

  // The second start finds the directory that the first has made.
  for (const isWiped of [true, false]) {
    expect(existsSync(lost.dataDirectory)).toBe(!isWiped);
    const { status, stderr } = await quorate('serve', '--config', lost.configFile);
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^quorate: the node stopped: refused by node [13]: node 2 joined with .* lost its disk .*\n$/,
    );
    expect(stderr).not.toMatch(/outcome|INVALID_ARGUMENT/);
  }

  await client.put('0', 'written without it');
  const { nodes, placement } = await client.status();
  expect(nodes.map(({ live }) => live)).toEqual([true, false, true]);
  expect(placement.leader).not.toBe(2);
}, 60_000);
