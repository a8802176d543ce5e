import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { requestStart, watchStartRequests } from '../../../src/cli/dev/control.js';
import { guide } from '../../../src/cli/dev/guide.js';
import { devNodes, existingPort, writeConfigs } from '../../../src/cli/dev/layout.js';
import { checkPorts } from '../../../src/cli/dev/ports.js';
import { loadConfig } from '../../../src/node/config/config.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quorate-dev-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the files of a development cluster', () => {
  test('are valid configurations of one cluster', async () => {
    const nodes = devNodes(folder, 9001);
    await writeConfigs(nodes, folder);
    for (const node of nodes) {
      const { options } = loadConfig({ file: { name: 'x', text: await readFile(node.configFile, 'utf8') } });
      expect(options.nodeId).toBe(node.id);
      expect(options.clientListen).toBe(`127.0.0.1:${9000 + node.id}`);
      expect(options.peerListen).toBe(`127.0.0.1:${9100 + node.id}`);
      expect(options.cluster.nodes).toHaveLength(3);
      expect(options.dataDirectory).toBe(join(folder, `node-${node.id}`));
    }
  });

  test('remember their ports, and keep what the user changed', async () => {
    expect(await existingPort(folder)).toBeUndefined();
    const nodes = devNodes(folder, 9001);
    await writeConfigs(nodes, folder);
    expect(await existingPort(folder)).toBe(9001);
    await writeFile(nodes[1].configFile, 'changed: true\n');
    await writeConfigs(nodes, folder);
    expect(await readFile(nodes[1].configFile, 'utf8')).toBe('changed: true\n');
  });
});

test('a port in use is named, with what to do', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const node = { ...devNodes(folder, 9001)[0], clientAddress: address };
    await expect(checkPorts([node])).rejects.toThrow(`${address} is in use. Is another`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

describe('requests to start a node', () => {
  test('reach the one who watches', async () => {
    const stop = new AbortController();
    const started: number[] = [];
    let watching: () => void = () => undefined;
    const began = new Promise<void>((resolve) => (watching = resolve));
    const watch = watchStartRequests(folder, { onWatching: watching, start: (id) => started.push(id) }, stop.signal);
    await began;
    expect(await requestStart(folder, [3, 1])).toBe(true);
    expect(started.sort()).toEqual([1, 3]);
    stop.abort();
    await watch;
  });

  test('fail when nobody does', async () => {
    expect(await requestStart(folder, [2])).toBe(false);
  });
});

test('the guide names endpoints, logs, and how to kill and start a node', () => {
  const nodes = devNodes(folder, 9001).map((node) => ({ node, pid: 100 + node.id }));
  const text = guide({ nodes, folder, port: 9001, shards: 8, isDefaultFolder: false });
  expect(text).toContain('export QUORATE_ENDPOINTS=127.0.0.1:9001,127.0.0.1:9002,127.0.0.1:9003');
  expect(text).toContain('kill -9 101 ');
  expect(text).toContain(`npx quorate dev start 1 --data ${folder}  #`);
  expect(text).toContain(nodes[2].node.logFile);
  const usual = guide({ nodes, folder, port: 7001, shards: 8, isDefaultFolder: true });
  expect(usual).not.toContain('QUORATE_ENDPOINTS');
  expect(usual).toContain('npx quorate dev start 1  #');
});

test.skipIf(!existsSync('/proc/self'))('a folder that cannot be made is told at once', async () => {
  await expect(writeConfigs(devNodes('/proc/quorate', 7001), '/proc/quorate')).rejects.toThrow(
    'cannot use the data directory /proc/quorate: no directory can be made there (ENOENT)',
  );
});
