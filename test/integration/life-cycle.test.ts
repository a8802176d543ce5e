/** How a node starts, refuses to start, is talked to by strangers, and stops; with real processes. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect } from 'quorate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { ClusterProcess } from '../../jepsen-lite/cluster/process-cluster.js';
import { NodeId } from '../../src/base/ids.js';
import { defaultLimits } from '../../src/base/limits.js';
import { Prng } from '../../src/base/prng.js';
import { freePorts } from '../../src/platform/free-ports.js';
import { TcpNetwork } from '../../src/platform/network.js';
import { decodePeerFrame, encodePeerFrame } from '../../src/rpc/peer-codec.js';
import type { PeerFrame } from '../../src/rpc/peer-messages.js';
import {
  busiestNode,
  eventually,
  isCaughtUp,
  isWhole,
  logLines,
  quorate,
  skipTest,
  startProcesses,
  Tally,
  untilLogged,
  untilStatus,
  type RunningCluster,
} from './support.js';

let cluster: RunningCluster;
const written = new Map<string, string>();

beforeAll(async () => {
  cluster = await startProcesses();
  const operations = Array.from({ length: 400 }, (_, i) => ({ key: `${i % 10}${'AGWm'[i % 4]}/${i}`, value: `v${i}` }));
  await cluster.client.batch(operations.map(({ key, value }) => ({ type: 'put', key, value })));
  for (const { key, value } of operations) written.set(key, value);
}, 60_000);

afterAll(() => cluster[Symbol.asyncDispose]());

async function stored(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key, value } of cluster.client.scan()) {
    found.set(Buffer.from(key).toString(), Buffer.from(value).toString());
  }
  return found;
}

describe('strangers', () => {
  const { peerFrameBytesMax } = defaultLimits;

  /** What the node says to `bytes`, until it closes the connection. */
  async function talk(address: string, bytes: Uint8Array): Promise<Buffer> {
    const [host, port] = address.split(':');
    const socket = connectTcp(Number(port), host);
    const answer: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => answer.push(chunk)).on('error', () => undefined);
    const closed = once(socket, 'close');
    socket.write(bytes);
    await closed;
    return Buffer.concat(answer);
  }

  /** Says `frame` as a peer; resolves with the first answer. */
  async function sayAsPeer(address: string, frame: PeerFrame): Promise<PeerFrame> {
    const connection = new TcpNetwork({ peerFrameBytesMax }).connect(address);
    try {
      return await new Promise((resolve, reject) => {
        connection.start({
          onFrame: (bytes) => resolve(decodePeerFrame(bytes)),
          onClose: (error) => reject(error ?? new Error('closed')),
        });
        connection.send(encodePeerFrame(frame));
      });
    } finally {
      connection.close();
    }
  }

  /** What the node refuses a peer with. */
  function refusalIn(answer: PeerFrame): string | undefined {
    return answer.type === 'response' && answer.body.type === 'failed' ? answer.body.error.message : undefined;
  }

  async function livesOn(node: ClusterProcess, pid: number | undefined): Promise<void> {
    expect(node.pid).toBe(pid);
    await using client = await connect({ endpoints: [node.endpoint] });
    expect(await client.get('1G/1')).toMatchObject({ type: 'found' });
  }

  const random = new Prng(7);
  const header = (length: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(length);
    return bytes;
  };

  test.each<[string, Uint8Array, RegExp]>([
    [
      'random bytes',
      Buffer.concat([Buffer.from([255, 255, 255, 127]), random.bytes(1000)]),
      /bytes, which is more than/,
    ],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: quorate\r\n\r\n'), /does not speak this protocol/],
    ['zeros', new Uint8Array(64), /checksum is wrong/],
    ['a frame over the limit', header(65_537), /65537 bytes, which is more than the 65536 of a greeting/],
  ])('who send %s to the peer port are cut off, and the log says why', async (_, bytes, reason) => {
    const node = cluster.processes.node(2);
    const { pid } = node;
    expect(await talk(node.peerAddress, bytes)).toEqual(Buffer.alloc(0));
    await untilLogged(node, 'the reason', ({ level, error }) => level === 'warn' && reason.test(String(error)));
    await livesOn(node, pid);
  });

  test.each<[string, Uint8Array]>([
    ['random bytes', random.bytes(1000)],
    ['HTTP/1.1', Buffer.from('POST /quorate.v1.Kv/Get HTTP/1.1\r\nHost: quorate\r\nContent-Length: 5\r\n\r\nhello')],
    ['broken HTTP/2', Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), random.bytes(1000)])],
  ])('who send %s to the client port do no harm', async (_, bytes) => {
    const node = cluster.processes.node(2);
    const { pid } = node;
    await talk(node.endpoint, bytes);
    await livesOn(node, pid);
  });

  const hello = {
    type: 'hello',
    nodeId: NodeId(1),
    storeId: '00',
    peerAddress: '',
    protocolMin: 1,
    protocolMax: 1,
  } as const;

  test('from another cluster are refused, and told and logged why', async () => {
    const node = cluster.processes.node(2);
    const { clusterId } = await cluster.client.status();
    const reason = `it is of cluster another-1, this is ${clusterId}`;
    const answer = await sayAsPeer(node.peerAddress, { ...hello, clusterId: 'another-1' });
    expect(refusalIn(answer)).toContain(reason);
    await untilLogged(node, 'the refusal', (line) => line.reason === reason);
  });

  test('with the id of a node and another data directory are refused', async () => {
    const node = cluster.processes.node(2);
    const { clusterId } = await cluster.client.status();
    // Refused as soon as the node that has the id is registered.
    const refusal = await eventually('a refusal', 30_000, async () =>
      refusalIn(await sayAsPeer(node.peerAddress, { ...hello, clusterId })),
    );
    expect(refusal).toMatch(/node 1 joined with the data directory .*, this is 00/);
    expect(isWhole(await cluster.client.status())).toBe(true);
  });
});

describe('a start is refused, with status 2 and the reason', () => {
  async function refusal(...args: readonly string[]): Promise<string> {
    const { status, stderr } = await quorate('serve', ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^quorate: .*\n$/);
    expect(stderr).not.toMatch(/outcome|UNAVAILABLE|INVALID_ARGUMENT/);
    return stderr;
  }

  /** The configuration file of a cluster of one node. */
  function alone(name: string, clientAddress: string, peerAddress: string): string {
    const file = join(cluster.processes.folder, `${name}.yaml`);
    const nodes = [{ id: 1, clientAddress, peerAddress }];
    const dataDirectory = join(cluster.processes.folder, name);
    const settings = { cluster: { name, nodes, replicationFactor: 1 }, nodeId: 1, dataDirectory };
    writeFileSync(file, stringify(settings));
    return file;
  }

  test('on a data directory that another process has', async () => {
    const { configFile, dataDirectory, pid } = cluster.processes.node(1);
    expect(await refusal('--config', configFile)).toContain(
      `${dataDirectory} is in use by another process (pid ${pid})`,
    );
  });

  test('where the client port is in use', async () => {
    const [port] = await freePorts(1);
    const { endpoint } = cluster.processes.node(1);
    const message = await refusal('--config', alone('client-port', endpoint, `127.0.0.1:${port}`));
    expect(message).toContain(`${endpoint}: the address is in use`);
  });

  test('where the peer port is in use', async () => {
    const [port] = await freePorts(1);
    const { peerAddress } = cluster.processes.node(1);
    const message = await refusal('--config', alone('peer-port', `127.0.0.1:${port}`, peerAddress));
    expect(message).toContain(`${peerAddress}: the address is in use`);
  });

  test('where the data directory cannot be made', async () => {
    const [clientPort, peerPort] = await freePorts(2);
    const config = alone('no-directory', `127.0.0.1:${clientPort}`, `127.0.0.1:${peerPort}`);
    const directory = join(cluster.processes.node(1).configFile, 'data');
    const message = await refusal('--config', config, '--data-directory', directory);
    expect(message).toContain(directory);
    expect(message).toMatch(/not a directory/i);
  });

  test('where the data directory is not writable', async (context) => {
    const [clientPort, peerPort] = await freePorts(2);
    const config = alone('read-only', `127.0.0.1:${clientPort}`, `127.0.0.1:${peerPort}`);
    const directory = join(cluster.processes.folder, 'read-only');
    mkdirSync(directory, { mode: 0o500 });
    // Root may write whatever the mode says, but not to what is mounted read-only.
    const isRoot = process.getuid?.() === 0;
    if (isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', directory]).status !== 0) {
      skipTest(context, 'root needs the right to mount a tmpfs');
    }
    try {
      const message = await refusal('--config', config);
      expect(message).toContain(directory);
      expect(message).toMatch(isRoot ? /read-only/i : /permi/i);
    } finally {
      if (isRoot) spawnSync('umount', [directory]);
    }
  });

  test('on the data directory of another cluster, and of another node', async () => {
    const { processes, client } = cluster;
    const { clusterId } = await client.status();
    const node = processes.node(3);
    await node.signal('SIGKILL');
    try {
      const another = await refusal('--config', node.configFile, '--set', 'cluster.name=another');
      expect(another).toContain(`${node.dataDirectory} belongs to node 3 of cluster ${clusterId}, this is node 3 of`);
      expect(another).toContain('cluster another-');
      const asNode1 = await refusal('--config', node.configFile, '--node-id', '1');
      expect(asNode1).toContain(`belongs to node 3 of cluster ${clusterId}, this is node 1 of`);
    } finally {
      node.start();
    }
    await untilStatus(client, 'the node to be back', isCaughtUp);
  }, 60_000);
});

describe('SIGTERM', () => {
  test('has a node hand its shards over and exit with 0; no operation fails meanwhile', async () => {
    const { processes, client } = cluster;
    const before = await client.status();
    const stopped = processes.node(busiestNode(before));
    const led = before.shards.filter(({ leader }) => leader === stopped.id).map(({ id }) => id as number);
    expect(led.length).toBeGreaterThan(0);
    const linesBefore = new Map(processes.nodes.map((node) => [node, logLines(node).length]));

    let stopping = true;
    const operations = new Tally();
    const work = async (worker: number): Promise<void> => {
      for (let turn = 0; stopping; turn++) {
        const key = `${'0GWm'[turn % 4]}/worker-${worker}`;
        const value = String(turn);
        await client.put(key, value);
        written.set(key, value);
        await client.get(key);
        operations.add();
      }
    };
    const workers = Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
    const more = (): Promise<void> => operations.reaches(operations.value + 50);
    try {
      await Promise.race([workers, more()]);
      expect(await stopped.signal('SIGTERM')).toEqual({ status: 0, signal: null });
      await Promise.race([workers, more()]);
    } finally {
      stopping = false;
    }
    await workers;

    const since = (node: ClusterProcess): ReturnType<typeof logLines> => logLines(node).slice(linesBefore.get(node));
    const own = since(stopped);
    const goneMs = own.find(({ msg }) => msg === 'stopped')?.timeMs ?? NaN;
    const tookOver = processes.nodes.filter((node) => node !== stopped).flatMap(since);
    for (const shard of led) {
      expect(own).toContainEqual(expect.objectContaining({ msg: 'leads no more', shard }));
      const takenMs = tookOver
        .filter((line) => line.msg === 'leads' && line.shard === shard)
        .map(({ timeMs }) => timeMs);
      expect(Math.min(...takenMs)).toBeLessThanOrEqual(goneMs);
    }

    stopped.start();
    await untilStatus(client, 'the node to be back', isCaughtUp);
  }, 90_000);

  test('of all nodes keeps everything for the next start', async () => {
    const { processes, client } = cluster;
    const ends = await Promise.all(processes.nodes.map((node) => node.signal('SIGTERM')));
    expect(ends).toEqual(processes.nodes.map(() => ({ status: 0, signal: null })));
    processes.start();
    await untilStatus(client, 'a cluster that is whole', isWhole);
    expect(await stored()).toEqual(written);
  }, 60_000);
});
