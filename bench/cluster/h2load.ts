/** h2load (Debian: nghttp2-client): a cheap load generator in C that no one here wrote, the same for every gRPC server. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { grpcFrame } from './grpc-frame.js';
import { latenciesOf, type Latencies } from './latencies.js';
import type { UnaryCall } from './system.js';

export interface H2loadRun {
  readonly endpoint: string;
  readonly call: UnaryCall;
  readonly connections: number;
  readonly streamsPerConnection: number;
  readonly seconds: number;
}

export interface H2loadResult extends Latencies {
  readonly perSecond: number;
  readonly operations: number;
}

/** What is printed at the end of a run. */
export interface H2loadSummary {
  readonly perSecond: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly dataBytes: number;
}

/** A gRPC answer has a frame of five bytes; a refusal has no data at all, and is a 200 to HTTP. */
const answerBytesMin = 5;

/** Rejects when calls failed, also where only gRPC says so. */
export async function runH2load(run: H2loadRun): Promise<H2loadResult> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-h2load-'));
  try {
    const data = join(folder, 'data');
    const log = join(folder, 'log');
    await writeFile(data, grpcFrame(run.call.message));
    const output = await outputOf('h2load', [
      ...['-c', String(run.connections), '-m', String(run.streamsPerConnection), '-t', '1'],
      ...['-D', `${Math.round(run.seconds * 1000)}ms`],
      ...['-H', 'content-type: application/grpc', '-H', 'te: trailers', '-d', data, '--log-file', log],
      `http://${run.endpoint}${run.call.path}`,
    ]);
    const { perSecond, succeeded, failed, dataBytes } = parseH2load(output);
    if (failed > 0 || succeeded === 0 || dataBytes < succeeded * answerBytesMin) {
      throw new Error(`calls of ${run.call.path} failed at ${run.endpoint}:\n${output}`);
    }
    return { perSecond, operations: succeeded, ...latenciesOf(parseH2loadLog(await readFile(log, 'utf8'))) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Throws for what is no such output. */
export function parseH2load(output: string): H2loadSummary {
  const find = (pattern: RegExp): number => {
    const found = pattern.exec(output);
    if (found === null) throw new Error(`h2load printed nothing like ${pattern.source}:\n${output}`);
    return Number(found[1]);
  };
  const status = (digit: number): number => find(new RegExp(String.raw`status codes:.* (\d+) ${digit}xx`));
  return {
    perSecond: find(/finished in .*, ([\d.]+) req\/s/),
    succeeded: find(/requests:.* (\d+) succeeded/),
    failed: find(/requests:.* (\d+) failed/) + status(3) + status(4) + status(5),
    dataBytes: find(/traffic:.*\((\d+)\) data/),
  };
}

/** Milliseconds of each request: lines of begin (µs since 1970), status, duration (µs). */
export function parseH2loadLog(log: string): number[] {
  return log.split('\n').flatMap((line) => {
    const [, status, micros] = line.split('\t').map(Number);
    return status === 200 && Number.isFinite(micros) ? [micros / 1000] : [];
  });
}

/** Whether `program` is on the PATH. */
export function isInstalled(program: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program, ['--version'], { stdio: 'ignore' });
    child.once('error', () => resolve(false));
    child.once('exit', () => resolve(true));
  });
}

function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with exit code ${code}:\n${output}`));
    });
  });
}
