/** What `quorate dev` tells its user. Pure: text from what is running. */
import { formatTable } from '../table.js';
import { defaultPort, shownPath, type DevNode } from './layout.js';
import type { NodeExit } from './node-process.js';

export interface GuideInput {
  readonly nodes: readonly { readonly node: DevNode; readonly pid: number | undefined }[];
  readonly folder: string;
  readonly port: number;
  readonly shards: number;
  /** Where the data is unless QUORATE_DATA or --data says otherwise. */
  readonly isDefaultFolder: boolean;
}

/** `npx quorate dev start 2`, with the folder where it is not the default one. */
export function startCommand(id: number | undefined, folder: string, isDefaultFolder: boolean): string {
  const data = isDefaultFolder ? '' : ` --data ${shownPath(folder)}`;
  return `npx quorate dev start${id === undefined ? '' : ` ${id}`}${data}`;
}

export function guide({ nodes, folder, port, shards, isDefaultFolder }: GuideInput): string {
  const table = formatTable(
    [{ title: 'node' }, { title: 'clients' }, { title: 'peers' }, { title: 'pid' }, { title: 'log' }],
    nodes.map(({ node, pid }) => [node.id, node.clientAddress, node.peerAddress, pid ?? '-', shownPath(node.logFile)]),
  );
  const example = nodes[0];
  const endpoints = nodes.map(({ node }) => node.clientAddress).join(',');
  const others =
    port === defaultPort ? [] : ['', 'In every other terminal:', `  export QUORATE_ENDPOINTS=${endpoints}`];
  return [
    `Quorate is up: ${nodes.length} nodes, ${shards} shards, data in ${shownPath(folder)}`,
    '',
    indent(table),
    ...others,
    '',
    'Try next, in a second terminal:',
    '  npx quorate put greeting hello',
    '  npx quorate get greeting',
    '  npx quorate scan --limit 10',
    '  npx quorate status',
    '',
    'Break something: nothing that was acknowledged is lost, and the other two nodes go on.',
    ...aligned([
      [`kill -9 ${example.pid ?? ''}`, `node ${example.node.id}`],
      [startCommand(example.node.id, folder, isDefaultFolder), 'start it again; without a number: all that are down'],
    ]),
    '',
    'Ctrl-C stops all nodes. The data stays, and the next start finds it.',
  ].join('\n');
}

export function describeExit(id: number, pid: number, exit: NodeExit): string {
  const how = exit.type === 'signal' ? `was killed by ${exit.signal}` : `ended with status ${exit.status}`;
  return `node ${id} (pid ${pid}) ${how}`;
}

/** Commands with a remark beside each. */
function aligned(lines: readonly (readonly [command: string, remark: string])[]): string[] {
  const width = Math.max(...lines.map(([command]) => command.length));
  return lines.map(([command, remark]) => `  ${command.padEnd(width)}  # ${remark}`);
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}
