/** Options that every client command has, and how option values are read. */
import { InvalidArgumentError, Option, type Command } from 'commander';

import { isAddress } from '../node/config/address.js';

const defaultEndpoints: readonly string[] = ['127.0.0.1:7001', '127.0.0.1:7002', '127.0.0.1:7003'];
const defaultTimeoutMs = 5000;

export interface ClientOptions {
  readonly endpoints: readonly string[];
  readonly json: boolean;
  /** For one operation. */
  readonly timeoutMs: number;
}

/** The program's own options, valid before and after the command's name. */
export function addClientOptions(program: Command): void {
  const endpoints = 'nodes to talk to, host:port,… (default: QUORATE_ENDPOINTS, or the nodes of `quorate dev`)';
  program
    .option('--endpoints <list>', endpoints, parseEndpoints)
    .option('--json', 'print JSON for machines')
    .option(
      '--timeout <time>',
      'give up on an operation after this time: 500ms, 5s, 1m',
      parseDuration,
      defaultTimeoutMs,
    );
}

export function clientOptions(command: Command): ClientOptions {
  const { endpoints, json, timeout } = command.optsWithGlobals<{
    endpoints?: readonly string[];
    json?: boolean;
    timeout: number;
  }>();
  return { endpoints: endpoints ?? endpointsFromEnvironment(), json: json === true, timeoutMs: timeout };
}

function endpointsFromEnvironment(): readonly string[] {
  const list = process.env.QUORATE_ENDPOINTS;
  if (list === undefined || list === '') return defaultEndpoints;
  try {
    return parseEndpoints(list);
  } catch (error) {
    throw new InvalidArgumentError(`QUORATE_ENDPOINTS: ${(error as Error).message}`);
  }
}

export function parseEndpoints(list: string): readonly string[] {
  const endpoints = list.split(',').map((endpoint) => endpoint.trim());
  const wrong = endpoints.find((endpoint) => !isAddress(endpoint));
  if (wrong !== undefined) throw new InvalidArgumentError(`"${wrong}" is not host:port.`);
  return endpoints;
}

/** An option whose value is milliseconds, given as {@link parseDuration} reads it. */
export function durationOption(flags: string, description: string, defaultMs: number): Option {
  return new Option(flags, description).argParser(parseDuration).default(defaultMs, `${defaultMs / 1000}s`);
}

const msPerUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `500ms`, `5s`, `1.5m`; a bare number counts seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const milliseconds = match === null ? Number.NaN : Math.round(Number(match[1]) * msPerUnit[match[2] ?? 's']);
  if (!(milliseconds >= 1)) throw new InvalidArgumentError('Expected a time like 500ms, 5s or 1m.');
  return milliseconds;
}

/** A whole number from `min` on. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`Expected a whole number, at least ${min}.`);
    }
    return value;
  };
}
