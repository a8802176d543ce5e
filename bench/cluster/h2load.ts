/** h2load (Debian: nghttp2-client): a cheap load generator in C that no one here wrote, the same for every gRPC server. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { grpcFrame } from './grpc-frame.js';
import { latenciesOf, type Latencies } from './latencies.js';
import type { UnaryCall } from './system.js';
import { UnaryClient } from './unary-client.js';

export interface H2loadRun {
  readonly endpoint: string;
  readonly call: UnaryCall;
  readonly connections: number;
  readonly streamsPerConnection: number;
  readonly seconds: number;
}

export interface H2loadResult extends Latencies {
  /** That were answered, not refused. */
  readonly perSecond: number;
  readonly operations: number;
  /** Refused, or failed on the way. */
  readonly failed: number;
}

/** What is printed at the end of a run. */
export interface H2loadSummary {
  /** Of `done`. */
  readonly perSecond: number;
  /** With any status. */
  readonly done: number;
  /** To HTTP: refusals of gRPC are among them. */
  readonly succeeded: number;
  readonly failed: number;
  readonly dataBytes: number;
}

/** A node that was just under load may refuse the first call. */
const firstAnswerMsMax = 5000;
const pauseMs = 100;

/** Calls may fail, and in a short run none may be answered in time; rejects when the first alone is not answered. */
export async function runH2load(run: H2loadRun): Promise<H2loadResult> {
  const answerBytes = await answerBytesOf(run);
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
    return resultOf(parseH2load(output), parseH2loadLog(await readFile(log, 'utf8')), answerBytes);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The length of one answer with its frame. */
async function answerBytesOf({ endpoint, call }: H2loadRun): Promise<number> {
  const giveUpMs = performance.now() + firstAnswerMsMax;
  for (;;) {
    using client = new UnaryClient([endpoint], 1);
    try {
      return await client.answerBytes(call);
    } catch (error) {
      if (performance.now() > giveUpMs) throw error;
    }
    await setTimeout(pauseMs);
  }
}

/**
 * A refusal is a 200 to HTTP and has no data, so what is missing from as much data as all answers would have was refused.
 * Answers to the same call get longer by a byte now and then, as revisions grow, and never shorter: nothing is taken for
 * refused that was not. Which latencies are those of refusals nobody knows; the quickest are left out, so that
 * percentiles are too high rather than too low.
 *
 * @param answerBytes of one answer, before the run
 */
export function resultOf(
  { perSecond, done, succeeded, failed, dataBytes }: H2loadSummary,
  latenciesMs: readonly number[],
  answerBytes: number,
): H2loadResult {
  const operations = Math.min(succeeded, Math.round(dataBytes / answerBytes));
  const refused = succeeded - operations;
  const ofAnswers = refused === 0 ? latenciesMs : [...latenciesMs].sort((a, b) => a - b).slice(refused);
  const answeredPart = done === 0 ? 0 : operations / done;
  return { perSecond: perSecond * answeredPart, operations, failed: failed + refused, ...latenciesOf(ofAnswers) };
}

/** Throws for what is no such output. */
export function parseH2load(output: string): H2loadSummary {
  const find = (pattern: RegExp): number => {
    const found = pattern.exec(output);
    if (found === null) throw new Error(`h2load printed nothing like ${pattern.source}:\n${output}`);
    return Number(found[1]);
  };
  return {
    perSecond: find(/finished in .*, ([\d.]+) req\/s/),
    done: find(/requests:.* (\d+) done/),
    succeeded: find(/requests:.* (\d+) succeeded/),
    failed: find(/requests:.* (\d+) failed/),
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
