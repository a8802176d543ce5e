/**
 * The shape of a node's configuration: one zod schema for file, environment and flags alike. The names are those of
 * {@link NodeOptions}, so that what `--print-config` prints can be used as a file. docs/configuration.md describes each.
 */
import { z } from 'zod';

import { defaultLimits, type Limits } from '../../base/limits.js';
import { addressRule, isAddress } from './address.js';
import { defaultRaftTiming, type RepairMode } from '../options.js';

const kib = 1024;
const byteUnits: Readonly<Record<string, number>> = { B: 1, KiB: kib, MiB: kib ** 2, GiB: kib ** 3 };

/** `64MiB`, `256 KiB`: bytes as people write them. Anything else is returned as it is, for the schema to judge. */
function bytesFromText(value: unknown): unknown {
  const match = typeof value === 'string' ? /^(\d+) ?(B|KiB|MiB|GiB)$/.exec(value.trim()) : null;
  return match === null ? value : Number(match[1]) * byteUnits[match[2]];
}

function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER, expected?: string): z.ZodType<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
  const message = expected ?? `expected a whole number ${range}`;
  return z.number(message).refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, message);
}

const bytesRule = 'expected bytes: a whole number like 65536, or one with B, KiB, MiB or GiB like 64MiB';
const bytes = z.preprocess(bytesFromText, wholeNumber(1, Number.MAX_SAFE_INTEGER, bytesRule));
/** A day: no wait of this program is sensibly longer. */
const milliseconds = wholeNumber(1, 86_400_000);

const address = z.string(addressRule).refine(isAddress, addressRule);
const text = z.string('expected text').min(1, 'must not be empty');

const node = z.strictObject({ id: wholeNumber(1), clientAddress: address, peerAddress: address });

/** Limits that count bytes may be written with a unit; the names say which they are. */
function limitSchema(name: string): z.ZodType<number> {
  if (name.endsWith('Ms')) return milliseconds;
  return name.includes('Bytes') ? bytes : wholeNumber(1);
}

const limitNames = Object.keys(defaultLimits) as (keyof Limits)[];
const limits = z
  .strictObject(
    Object.fromEntries(limitNames.map((name) => [name, limitSchema(name).default(defaultLimits[name])])) as Record<
      keyof Limits,
      z.ZodDefault<z.ZodType<number>>
    >,
  )
  .prefault({});

const raft = z
  .strictObject({
    tickMs: wholeNumber(1, 60_000).default(defaultRaftTiming.tickMs),
    heartbeatTicks: wholeNumber(1, 10_000).default(defaultRaftTiming.heartbeatTicks),
    electionTicksMin: wholeNumber(1, 10_000).default(defaultRaftTiming.electionTicksMin),
    electionTicksMax: wholeNumber(1, 10_000).default(defaultRaftTiming.electionTicksMax),
    quiesceTicks: wholeNumber(0, 1_000_000).default(defaultRaftTiming.quiesceTicks),
    leaderLease: z.boolean('expected true or false').default(defaultRaftTiming.leaderLease),
  })
  .prefault({});

const logLevels = ['debug', 'info', 'warn', 'error'] as const;
const logFormats = ['json', 'pretty'] as const;

const logging = z
  .strictObject({
    level: z.enum(logLevels, `expected one of ${logLevels.join(', ')}`).default('info'),
    format: z.enum(logFormats, `expected one of ${logFormats.join(', ')}`).default('json'),
  })
  .prefault({});

const repairModes = ['manual', 'fromPeers'] as const satisfies readonly RepairMode[];

export const configSchema = z.strictObject({
  cluster: z.strictObject({
    name: text.default('quorate'),
    nodes: z.array(node, 'expected a list of nodes').min(1, 'must name at least one node'),
    initialShards: wholeNumber(1, 1024).default(8),
    replicationFactor: wholeNumber(1, 9).default(3),
  }),
  nodeId: wholeNumber(1),
  clientAddress: address.optional(),
  peerAddress: address.optional(),
  dataDirectory: text,
  clientListen: address.optional(),
  peerListen: address.optional(),
  requestTimeoutMsDefault: milliseconds.default(5000),
  requestTimeoutMsMax: milliseconds.default(60_000),
  drainMsMax: milliseconds.default(5000),
  backgroundThreads: wholeNumber(1, 64).default(1),
  repair: z.enum(repairModes, `expected one of ${repairModes.join(', ')}`).default('manual'),
  raft,
  limits,
  logging,
});

export type ParsedConfig = z.output<typeof configSchema>;
export type LogLevel = (typeof logLevels)[number];
export type LogFormat = (typeof logFormats)[number];

/** One leaf of the configuration. A list (`cluster.nodes`) is one leaf. */
export interface Setting {
  /** Keys joined by dots, as messages show it: `limits.keyBytesMax`. */
  readonly path: string;
  /** Text settings take the environment's and the flags' text as it is; others read it as YAML. */
  readonly isText: boolean;
}

interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}

function leaves(schemaNode: SchemaNode, path: readonly string[]): Setting[] {
  if (schemaNode.properties === undefined) return [{ path: path.join('.'), isText: schemaNode.type === 'string' }];
  return Object.entries(schemaNode.properties).flatMap(([key, child]) => leaves(child, [...path, key]));
}

/** Every setting that there is. */
export const settings: readonly Setting[] = leaves(
  z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as SchemaNode,
  [],
);
