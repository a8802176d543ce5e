/**
 * The suite of idle groups: what a thousand of them cost a node that has a replica of each. Three processes on loopback;
 * the processor time and the memory of each are its own, as the operating system counts them.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { NodeId } from '../src/base/ids.js';
import { defaultLimits } from '../src/base/limits.js';
import { defaultRaftTiming, type InitialNode, type NodeOptions } from '../src/node/options.js';
import { freePorts } from '../src/platform/free-ports.js';
import { nodeArguments } from '../src/platform/node-arguments.js';
import type { IdleOrder, IdleReport } from './idle-groups-process.js';
import { percentile, type Row, type SuiteOptions } from './measure.js';

const nodeCount = 3;

export async function idleGroups({ quick, progress, keys: groups = 1000 }: SuiteOptions): Promise<Row[]> {
  const rows: Row[] = [];
  const measureMs = quick ? 10_000 : 60_000;
  for (const [name, count, quiesceTicks] of [
    [`${groups} quiet groups`, groups, defaultRaftTiming.quiesceTicks],
    [`${groups} groups that never fall quiet`, groups, 0],
    ['one group', 1, defaultRaftTiming.quiesceTicks],
  ] as const) {
    progress(`${name}: forming a cluster`);
    const reports = await measure({ groups: count, quiesceTicks, settleMs: quick ? 30_000 : 120_000, measureMs });
    const row = (what: string, unit: string, samples: readonly number[]): Row => {
      const rounded = samples.map((sample) => Math.round(100 * sample) / 100);
      return { name: `${name}: ${what}`, unit, ours: percentile(rounded, 0.5), samples: rounded };
    };
    rows.push(
      row(
        'processor',
        '% of a core',
        reports.map(({ cpuPercent }) => cpuPercent),
      ),
      row(
        'RSS',
        'MiB',
        reports.map(({ rssMib }) => rssMib),
      ),
      row(
        'heap',
        'MiB',
        reports.map(({ heapMib }) => heapMib),
      ),
    );
  }
  return rows;
}

interface Measured {
  readonly groups: number;
  readonly quiesceTicks: number;
  readonly settleMs: number;
  readonly measureMs: number;
}

/** A report of each node. */
async function measure({ groups, quiesceTicks, settleMs, measureMs }: Measured): Promise<IdleReport[]> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-'));
  const ports = await freePorts(nodeCount * 2);
  const nodes = Array.from({ length: nodeCount }, (_, i): InitialNode => {
    const [clientPort, peerPort] = ports.slice(i * 2);
    return { id: NodeId(i + 1), clientAddress: `127.0.0.1:${clientPort}`, peerAddress: `127.0.0.1:${peerPort}` };
  });
  const processes = nodes.map(({ id, clientAddress, peerAddress }) => {
    const options: NodeOptions = {
      cluster: { name: 'bench', nodes, initialShards: groups, replicationFactor: nodeCount },
      nodeId: id,
      clientAddress,
      peerAddress,
      dataDirectory: join(folder, `node-${id}`),
      clientListen: clientAddress,
      peerListen: peerAddress,
      raft: { ...defaultRaftTiming, quiesceTicks },
      requestTimeoutMsDefault: 5000,
      requestTimeoutMsMax: 60_000,
      drainMsMax: 5000,
      backgroundThreads: 1,
      repair: 'manual',
      limits: defaultLimits,
    };
    const order: IdleOrder = { options, readyMsMax: 300_000, settleMs, measureMs };
    const program = new URL('./idle-groups-process.js', import.meta.url);
    return fork(program, [JSON.stringify(order)], { execArgv: [...nodeArguments] });
  });
  try {
    return await Promise.all(processes.map(reportOf));
  } finally {
    await Promise.all(processes.map(end));
    await rm(folder, { recursive: true, force: true });
  }
}

function reportOf(child: ChildProcess): Promise<IdleReport> {
  return new Promise((resolve, reject) => {
    child.on('message', resolve);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`a node ended with status ${code} and without a report`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
