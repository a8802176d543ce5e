/**
 * What `quorate dev` keeps under its data directory, for node N of three:
 * `node-N.yaml` (its configuration), `node-N.log`, `node-N/` (its data), and `control/` (see control.ts).
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { parse, stringify } from 'yaml';

import { unusableReason } from '../../node/directory/data-directory.js';
import { NodeDisk } from '../../platform/disk.js';
import { CommandFailure } from '../failure.js';

export const devNodeIds = [1, 2, 3] as const;

export const defaultPort = 7001;
/** From a node's client port to its peer port. */
const peerPortOffset = 100;

export interface DevNode {
  readonly id: number;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly dataDirectory: string;
}

/** The three nodes under `folder` (absolute), with client ports from `port` on. */
export function devNodes(folder: string, port: number): readonly DevNode[] {
  return devNodeIds.map((id) => ({
    id,
    clientAddress: `127.0.0.1:${port + id - 1}`,
    peerAddress: `127.0.0.1:${port + peerPortOffset + id - 1}`,
    configFile: join(folder, `node-${id}.yaml`),
    logFile: join(folder, `node-${id}.log`),
    dataDirectory: join(folder, `node-${id}`),
  }));
}

function nodeConfig(node: DevNode, all: readonly DevNode[]): string {
  const config = {
    cluster: {
      name: 'dev',
      nodes: all.map(({ id, clientAddress, peerAddress }) => ({ id, clientAddress, peerAddress })),
    },
    nodeId: node.id,
    dataDirectory: node.dataDirectory,
  };
  return `# Written by \`quorate dev\`, once: what you change here stays.\n${stringify(config)}`;
}

/** Configuration files that are there already stay as they are. */
export async function writeConfigs(nodes: readonly DevNode[], folder: string): Promise<void> {
  try {
    await new NodeDisk().makeDirectory(folder);
  } catch (error) {
    throw new CommandFailure(`cannot use the data directory ${folder}: ${unusableReason(error)}`, { cause: error });
  }
  for (const node of nodes) {
    if (!existsSync(node.configFile)) await writeFile(node.configFile, nodeConfig(node, nodes));
  }
}

/** First client port of the cluster whose files are in `folder`; undefined when there is none. */
export async function existingPort(folder: string): Promise<number | undefined> {
  const [first] = devNodes(folder, defaultPort);
  if (!existsSync(first.configFile)) return undefined;
  const config = parse(await readFile(first.configFile, 'utf8')) as {
    cluster?: { nodes?: readonly { id?: unknown; clientAddress?: unknown }[] };
  } | null;
  const address = config?.cluster?.nodes?.find((node) => node.id === first.id)?.clientAddress;
  const port = typeof address === 'string' ? Number(address.slice(address.lastIndexOf(':') + 1)) : Number.NaN;
  return Number.isInteger(port) ? port : undefined;
}

/** `path` as a user in the working directory would type it. */
export function shownPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere === '' ? '.' : fromHere.startsWith('..') ? path : fromHere;
}
