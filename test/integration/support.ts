/** What the tests over real processes share: the built command, and waiting for facts. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { connect, type Client } from 'quorate';
import {
  ProcessCluster,
  type ClusterProcess,
  type ProcessClusterOptions,
} from '../../jepsen-lite/cluster/process-cluster.js';

const program = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export interface CommandEnd {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly stdin: Writable;
  readonly ended: Promise<CommandEnd>;
}

/** `quorate …` as a user runs it; settings of this process's environment do not reach it. */
export function startQuorate(...args: readonly string[]): RunningCommand {
  return start(process.execPath, [program, ...args]);
}

function start(
  command: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): RunningCommand {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('QUORATE_'));
  const environment = { ...Object.fromEntries(inherited), ...variables };
  const child = spawn(command, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that ends early closes its input; its status and message tell why.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<CommandEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) =>
      resolve({ status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
  });
  return { child, stdin: child.stdin, ended };
}

/** Runs `quorate …` without input to its end. */
export function quorate(...args: readonly string[]): Promise<CommandEnd> {
  return run(process.execPath, [program, ...args]);
}

/** Runs any command without input to its end, with these environment variables added. */
export async function run(
  command: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<CommandEnd> {
  const running = start(command, args, variables);
  running.stdin.end();
  return await running.ended;
}

const probeEveryMs = 50;

/**
 * Asks until the answer is not undefined, and returns it. Rejects after `msMax`, with what was waited for and why the
 * last probe failed.
 */
export async function eventually<T>(what: string, msMax: number, probe: () => Promise<T | undefined>): Promise<T> {
  const untilMs = performance.now() + msMax;
  let lastError: unknown;
  do {
    try {
      const answer = await probe();
      if (answer !== undefined) return answer;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    await new Promise((resolve) => setTimeout(resolve, probeEveryMs));
  } while (performance.now() < untilMs);
  throw new Error(`not within ${msMax} ms: ${what}`, { cause: lastError });
}

/** As {@link eventually}, for what is true or not. */
export async function until(what: string, msMax: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  await eventually(what, msMax, async () => ((await holds()) ? true : undefined));
}

export type Status = Awaited<ReturnType<Client['status']>>;

/** Resolves with the status when the condition holds of it. */
export function untilStatus(
  client: Client,
  what: string,
  condition: (status: Status) => boolean,
  msMax = 30_000,
): Promise<Status> {
  return eventually(what, msMax, async () => {
    const status = await client.status();
    return condition(status) ? status : undefined;
  });
}

/** Every node answers, and every shard has a leader. */
export function isWhole({ nodes, shards }: Status): boolean {
  return nodes.every(({ live }) => live) && shards.length > 0 && shards.every(({ leader }) => leader !== undefined);
}

/** Every replica has applied all that its shard's leader has committed. */
export function isCaughtUp(status: Status): boolean {
  return isWhole(status) && status.shards.every(({ replicas }) => new Set(replicas.flatMap(indexes)).size === 1);
}

function indexes({ appliedIndex, commitIndex }: Status['shards'][number]['replicas'][number]): number[] {
  return [appliedIndex, commitIndex];
}

/** The node that leads most shards. */
export function busiestNode({ nodes, shards }: Status): number {
  const led = (id: number): number => shards.filter(({ leader }) => leader === id).length;
  return nodes.map(({ id }) => id).reduce<number>((best, id) => (led(id) > led(best) ? id : best), nodes[0].id);
}

export interface LogLine {
  readonly timeMs: number;
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What a node has logged, without what is no JSON (the last words of a failed start). */
export function logLines(node: ClusterProcess): LogLine[] {
  return node.log.split('\n').flatMap((line) => {
    if (!line.startsWith('{') || !line.endsWith('}')) return [];
    const fields = JSON.parse(line) as { level: string; msg: string; time: string | number };
    return [{ ...fields, timeMs: new Date(fields.time).getTime() }];
  });
}

export interface RunningCluster extends AsyncDisposable {
  readonly processes: ProcessCluster;
  readonly client: Client;
  /** For `--endpoints`. */
  readonly endpoints: string;
}

/** Processes that take requests, and a client of them. */
export async function startProcesses(options: Omit<ProcessClusterOptions, 'program'> = {}): Promise<RunningCluster> {
  const processes = await ProcessCluster.create({ program, ...options });
  try {
    processes.start();
    const client = await eventually('a node that answers', 30_000, () => connect({ endpoints: processes.endpoints }));
    await untilStatus(client, 'a cluster that is whole', isWhole);
    return {
      processes,
      client,
      endpoints: processes.endpoints.join(','),
      [Symbol.asyncDispose]: async () => {
        await client.close();
        await processes[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    const logs = processes.nodes.map((node) => node.log.split('\n').slice(-20).join('\n'));
    await processes[Symbol.asyncDispose]();
    throw new Error(`the cluster did not start; its nodes' last words:\n${logs.join('\n')}`, { cause: error });
  }
}
