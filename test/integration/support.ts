/** What the tests over real processes share: the built command, and waiting for facts. */
import { spawn, type ChildProcess } from 'node:child_process';
import { watch } from 'node:fs';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { connect, type Client } from 'quorate';
import type { TestContext } from 'vitest';
import { compareBytes, utf8 } from '../../src/base/bytes.js';
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

/** Skips the test that runs, by name and with the reason, which vitest's own report leaves out. */
export function skipTest({ skip, task }: TestContext, reason: string): never {
  process.stderr.write(`skipped: ${task.name} (${reason})\n`);
  return skip(reason);
}

/** A count that can be waited for. */
export class Tally {
  #value = 0;
  readonly #waiting = new Set<{ readonly value: number; readonly resolve: () => void }>();

  get value(): number {
    return this.#value;
  }

  add(): void {
    this.#value++;
    for (const waiting of this.#waiting) {
      if (waiting.value > this.#value) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Resolves when it is at least `value`; the test's own time limit ends the wait. */
  async reaches(value: number): Promise<void> {
    if (this.#value >= value) return;
    await new Promise<void>((resolve) => this.#waiting.add({ value, resolve }));
  }
}

const probeEveryMs = 50;

/**
 * Asks until the answer is not undefined, and returns it. Rejects after `msMax`, with what was waited for and why the
 * last probe failed. For what announces itself by no event: what a cluster answers when asked for its status or a key.
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

/** The shard that owns the key. */
export function shardOf(key: string, { shards }: Status): Status['shards'][number] {
  const bytes = utf8(key);
  const shard = shards.find(
    ({ start, end }) => compareBytes(start, bytes) <= 0 && (end.length === 0 || compareBytes(bytes, end) < 0),
  );
  if (shard === undefined) throw new Error(`no shard has ${key}`);
  return shard;
}

export interface LogLine {
  readonly timeMs: number;
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What a node has logged, in whole lines, without what is no JSON (the last words of a failed start). */
export function logLines(node: ClusterProcess): LogLine[] {
  const lines = node.log.split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    if (!line.startsWith('{')) return [];
    const fields = JSON.parse(line) as { level: string; msg: string; time: string | number };
    return [{ ...fields, timeMs: new Date(fields.time).getTime() }];
  });
}

/**
 * Resolves when the node has logged a line that matches, after the first `after` lines. Rejects after `msMax`, and when
 * the process ends before.
 */
export async function untilLogged(
  node: ClusterProcess,
  what: string,
  matches: (line: LogLine) => boolean,
  { after = 0, msMax = 30_000 }: { after?: number; msMax?: number } = {},
): Promise<void> {
  const hasLogged = (): boolean => logLines(node).slice(after).some(matches);
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (hasLogged()) end(resolve);
    };
    const fail = (why: string): void => end(() => reject(new Error(`node ${node.id}: ${why}: ${what} in the log`)));
    const timer = setTimeout(() => fail(`not within ${msMax} ms`), msMax);
    const watcher = watch(node.logFile, look);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      watcher.close();
      settle();
    };
    void node.exited.then(() => (hasLogged() ? end(resolve) : fail('ended without')));
    look();
  });
}

/** The node takes requests, though it may have none to answer them with yet. */
export async function untilServing(node: ClusterProcess, after = 0): Promise<void> {
  await untilLogged(node, 'gRPC is served', ({ msg }) => msg === 'serving gRPC', { after });
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
    await Promise.all(processes.nodes.map((node) => untilServing(node)));
    const client = await connect({ endpoints: processes.endpoints });
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
