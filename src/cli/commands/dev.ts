/** `quorate dev`: three nodes on this machine, each a process of its own, for trying things out. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { connect, type ClusterStatus } from '../../client/index.js';
import { hasEnded, noteEnded, requestStart, watchStartRequests } from '../dev/control.js';
import { describeExit, guide, startCommand } from '../dev/guide.js';
import {
  defaultPort,
  devNodeIds,
  devNodes,
  existingPort,
  shownPath,
  writeConfigs,
  type DevNode,
} from '../dev/layout.js';
import { NodeProcess, type NodeExit } from '../dev/node-process.js';
import { checkPorts } from '../dev/ports.js';
import { CommandFailure } from '../failure.js';
import { printLine } from '../output.js';
import { onStopSignal } from '../signals.js';

export interface DevOptions {
  /** Folder for everything. Default: QUORATE_DATA, or `.quorate`. */
  readonly data?: string;
  /** First client port. Default: QUORATE_PORT, or that of the data directory, or 7001. */
  readonly port?: number;
}

const defaultFolder = '.quorate';
const readyWithinMs = 60_000;
const statusWithinMs = 2000;
const killAfterMs = 20_000;
const logLinesShown = 15;

/** Resolves to the exit status after the user stopped it. */
export async function dev(options: DevOptions): Promise<number> {
  const place = await placeOf(options);
  const { nodes, folder } = place;
  const stopping = new AbortController();
  const processes = nodes.map((node) => new NodeProcess(node, (exit, pid) => void reportExit(node, exit, pid)));
  const reportExit = async (node: DevNode, exit: NodeExit, pid: number): Promise<void> => {
    if (stopping.signal.aborted) return;
    await noteEnded(folder, node.id);
    const again = `Start it again: ${startCommand(node.id, folder, place.isDefaultFolder)}`;
    await printLine(`${describeExit(node.id, pid, exit)}. ${again}`);
    if (exit.type === 'status') await printLine(await logTail(node.logFile));
  };

  await checkPorts(nodes);
  await writeConfigs(nodes, folder);
  const stopped = new Promise<void>((done) => stopping.signal.addEventListener('abort', () => done()));
  onStopSignal({ stop: () => stopping.abort(), stopNow: () => processes.forEach((process) => process.kill()) });
  await printLine(`Starting ${nodes.length} nodes, data in ${shownPath(folder)} …`);
  await Promise.all(processes.map((process) => process.start()));
  const control = watchStartRequests(folder, { start: (id) => void startAgain(processes[id - 1]) }, stopping.signal);
  try {
    const status = await untilReady(nodes, processes, stopping.signal);
    if (status !== undefined) {
      const shown = processes.map((process) => ({ node: process.node, pid: process.pid }));
      await printLine(guide({ ...place, nodes: shown, shards: status.shards.length }));
      await stopped;
    }
    await printLine('Stopping …');
  } finally {
    stopping.abort();
    await Promise.all([control, ...processes.map((process) => process.stop(killAfterMs))]);
  }
  await printLine(`Stopped. The data is in ${shownPath(folder)}.`);
  return 0;
}

/** `quorate dev start [N]`: asks the running `quorate dev` to start what is down, and waits until it answers. */
export async function devStart(ids: readonly number[], options: DevOptions): Promise<number> {
  const { nodes, folder } = await placeOf(options);
  const wanted = nodes.filter((node) => ids.length === 0 || ids.includes(node.id));
  if (
    !(await requestStart(
      folder,
      wanted.map(({ id }) => id),
    ))
  ) {
    throw new CommandFailure(
      `no \`quorate dev\` runs on ${shownPath(folder)}; start it, or one node by hand: ` +
        `npx quorate serve --config ${shownPath(wanted[0].configFile)}`,
    );
  }
  const endpoints = nodes.map(({ clientAddress }) => clientAddress);
  const deadline = performance.now() + readyWithinMs;
  const isLive = (status: ClusterStatus | undefined, id: number): boolean =>
    status?.nodes.some((node) => node.id === id && node.live) ?? false;
  let status = await tryStatus(endpoints);
  while (!wanted.every(({ id }) => isLive(status, id))) {
    for (const { id, logFile } of wanted) {
      if (!(await hasEnded(folder, id))) continue;
      const reason = (await logTail(logFile, 1)).trim();
      throw new CommandFailure(`node ${id} ended: ${reason}; its log: ${shownPath(logFile)}`);
    }
    if (performance.now() > deadline) {
      const missing = wanted.filter(({ id }) => !isLive(status, id));
      throw new CommandFailure(`node ${missing[0].id} does not answer; its log: ${shownPath(missing[0].logFile)}`);
    }
    await pause();
    status = await tryStatus(endpoints);
  }
  for (const { id, clientAddress } of wanted) {
    const pid = status?.nodes.find((node) => node.id === id)?.pid ?? 0;
    await printLine(`node ${id} is up at ${clientAddress} (pid ${pid})`);
  }
  return 0;
}

interface Place {
  readonly folder: string;
  readonly isDefaultFolder: boolean;
  readonly port: number;
  readonly nodes: readonly DevNode[];
}

async function placeOf(options: DevOptions): Promise<Place> {
  const folder = resolve(options.data ?? process.env.QUORATE_DATA ?? defaultFolder);
  const asked = options.port ?? portFromEnvironment();
  const existing = await existingPort(folder);
  if (asked !== undefined && existing !== undefined && asked !== existing) {
    throw new CommandFailure(
      `${shownPath(folder)} holds a cluster whose client ports begin at ${existing}, not ${asked}: ` +
        'leave the port out, or choose another folder with --data or QUORATE_DATA',
    );
  }
  const port = asked ?? existing ?? defaultPort;
  return { folder, isDefaultFolder: folder === resolve(defaultFolder), port, nodes: devNodes(folder, port) };
}

function portFromEnvironment(): number | undefined {
  const text = process.env.QUORATE_PORT;
  // Kubernetes sets QUORATE_PORT=tcp://… for a service of that name.
  if (text === undefined || text === '' || text.includes('://')) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_000)
    throw new CommandFailure(`QUORATE_PORT is not a port: ${text}`);
  return port;
}

async function startAgain(process: NodeProcess): Promise<void> {
  if (!process.isDown) return;
  await process.start();
  await printLine(`Starting node ${process.node.id} again (pid ${process.pid ?? 0})`);
}

/** The status when every node is live and every shard has a leader; undefined when the user stops before. */
async function untilReady(
  nodes: readonly DevNode[],
  processes: readonly NodeProcess[],
  signal: AbortSignal,
): Promise<ClusterStatus | undefined> {
  const endpoints = nodes.map(({ clientAddress }) => clientAddress);
  const deadline = performance.now() + readyWithinMs;
  while (!signal.aborted) {
    const status = await tryStatus(endpoints);
    if (status !== undefined && isReady(status)) return status;
    const dead = processes.find((process) => process.isDown);
    if (dead !== undefined) throw new CommandFailure(`node ${dead.node.id} did not start`);
    if (performance.now() > deadline) {
      const logs = nodes.map(({ logFile }) => shownPath(logFile)).join(', ');
      throw new CommandFailure(`the cluster did not get ready within ${readyWithinMs / 1000} s; logs: ${logs}`);
    }
    await pause();
  }
  return undefined;
}

function isReady(status: ClusterStatus): boolean {
  return (
    status.nodes.length === devNodeIds.length &&
    status.nodes.every((node) => node.live) &&
    status.shards.length > 0 &&
    status.shards.every((shard) => shard.leader !== undefined)
  );
}

/** Undefined when no node answers. */
async function tryStatus(endpoints: readonly string[]): Promise<ClusterStatus | undefined> {
  try {
    await using client = await connect({ endpoints, deadlineMs: statusWithinMs });
    return await client.status();
  } catch {
    return undefined;
  }
}

async function logTail(file: string, count: number = logLinesShown): Promise<string> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines
    .slice(-count)
    .map((line) => `  ${line}`)
    .join('\n');
}

function pause(): Promise<void> {
  return new Promise((done) => setTimeout(done, 200));
}
