/** All that is measured, in the order in which it is. */
import { runLoad } from '../measure.js';
import { runH2load } from './h2load.js';
import { keyOf, popularKeys, spreadKey, valueOf } from './keys.js';
import { runOpenLoad } from './open-loop.js';
import type { RunningQuorate } from './quorate-system.js';
import type { Outcome, PartName, PlotPlace, Scenario } from './scenario.js';
import type { DataOptions, RunningSystem, UnaryCall } from './system.js';
import { UnaryClient } from './unary-client.js';

type Kind = 'put' | 'get';
type Operation = (n: number) => Promise<unknown>;

const kinds: readonly Kind[] = ['put', 'get'];
const depths = [1, 64, 256, 1024];
/** How h2load holds so many in flight: connections, and streams of each. */
const connectionsOf: Readonly<Record<number, readonly [number, number]>> = {
  1: [1, 1],
  16: [4, 4],
  64: [4, 16],
  256: [8, 32],
  1024: [16, 64],
};
const usualDepth = 256;
const batchPuts = 128;
const batchDepth = 16;
const largeValueBytes = 1024;
const readPercents = [50, 95];
/** Due each second on both sides; and one more, beside which nothing stands, for what unary calls do not get through. */
const rates = [500, 2000, 4000, 8000];
const rateOfStreamAlone = 32_000;
const openMax = 10_000;
const popularSeed = 5;

export function scenariosOf(data: DataOptions, { quick }: { readonly quick: boolean }): readonly Scenario[] {
  return [
    ...depths.flatMap((depth) => kinds.map((kind) => unary(kind, 'leader', depth, data))),
    ...(quick ? [usualDepth] : depths).flatMap((depth) => kinds.map((kind) => unary(kind, 'follower', depth, data))),
    ...depths.flatMap((depth) => kinds.map((kind) => stream(kind, depth, data))),
    ...kinds.map((kind) => streamToOneShard(kind, data)),
    batches(data),
    ...readPercents.flatMap((percent) => mixes(percent, data)),
    ...rates
      .filter((_, i) => !quick || i % 2 === 0)
      .flatMap((rate) => [unaryAtRate(rate, data), streamAtRate(rate, data)]),
    { ...streamAtRate(rateOfStreamAlone, data), theirs: undefined },
    // Last: they leave large values behind.
    ...kinds.map((kind) => unary(kind, 'leader', usualDepth, { ...data, valueBytes: largeValueBytes }, 'values')),
    ...kinds.map((kind) => stream(kind, usualDepth, { ...data, valueBytes: largeValueBytes }, 'values')),
  ];
}

function unaryName(kind: Kind, to: 'leader' | 'follower', depth: number, valueBytes: number): string {
  return `${kind}, unary to ${to === 'leader' ? 'the leader' : 'a follower'}, ${depth} in flight, ${valueBytes} B`;
}

/** The same call again and again, by h2load. */
function unary(
  kind: Kind,
  to: 'leader' | 'follower',
  depth: number,
  { valueBytes }: DataOptions,
  part: PartName = 'unary',
): Scenario {
  const value = valueOf(valueBytes);
  const run = async (running: RunningSystem, seconds: number): Promise<Outcome> => {
    const { calls, cannedKey } = running;
    if (kind === 'get' && part === 'values') await once(running, calls.put(cannedKey, value));
    const call = kind === 'put' ? calls.put(cannedKey, value) : calls.get(cannedKey);
    const bytesEach = kind === 'put' ? cannedKey.length + valueBytes : 0;
    return loaded({ endpoint: running[to], call, depth, seconds, bytesEach });
  };
  const place: PlotPlace = { plot: kind, line: `unary to ${to === 'leader' ? 'the leader' : 'a follower'}`, at: depth };
  const name = unaryName(kind, to, depth, valueBytes);
  const shown = part === 'unary' ? place : undefined;
  const shared = { part, name, unit: 'operations/s', needsH2load: true, isInSeries: depth === 1 } as const;
  return { ...shared, place: shown, ours: run, theirs: run };
}

async function loaded(of: {
  readonly endpoint: string;
  readonly call: UnaryCall;
  readonly depth: number;
  readonly seconds: number;
  readonly bytesEach: number;
}): Promise<Outcome> {
  const [connections, streamsPerConnection] = connectionsOf[of.depth];
  const result = await runH2load({ ...of, connections, streamsPerConnection });
  return { ...result, payloadBytes: result.operations * of.bytesEach, lost: lostOf(result.failed) };
}

async function once({ leader }: RunningSystem, call: UnaryCall): Promise<void> {
  using client = new UnaryClient([leader], 1);
  await client.call(call);
}

/** Through the TypeScript client, keys over all shards. */
function stream(kind: Kind, depth: number, data: DataOptions, part: PartName = 'stream'): Scenario {
  const name = `${kind}, stream of the TypeScript client, ${depth} in flight, ${data.valueBytes} B`;
  const ours = (running: RunningQuorate, seconds: number): Promise<Outcome> =>
    closedLoop(
      depth,
      seconds,
      streamOperation(running, kind, data, (n) => spreadKey(n, data.keys)),
      kind,
      data,
    );
  const place: PlotPlace = { plot: kind, line: 'stream of the TypeScript client', at: depth };
  const theirs = unaryName(kind, 'leader', depth, data.valueBytes);
  const shown = part === 'stream' ? place : undefined;
  const shared = { part, name, unit: 'operations/s', needsH2load: false, isInSeries: depth === 1 } as const;
  return { ...shared, place: shown, ours, theirs };
}

function streamToOneShard(kind: Kind, data: DataOptions): Scenario {
  const ours = (running: RunningQuorate, seconds: number): Promise<Outcome> => {
    const { keysOfOneShard: keys } = running;
    const operation = streamOperation(running, kind, data, (n) => keys[(n * 7919) % keys.length]);
    return closedLoop(usualDepth, seconds, operation, kind, data);
  };
  return {
    part: 'stream',
    name: `${kind}, stream of the TypeScript client, one shard, ${usualDepth} in flight, ${data.valueBytes} B`,
    unit: 'operations/s',
    needsH2load: false,
    ours,
    theirs: unaryName(kind, 'leader', usualDepth, data.valueBytes),
  };
}

function streamOperation(
  { client }: RunningQuorate,
  kind: Kind,
  { valueBytes }: DataOptions,
  key: (n: number) => Uint8Array,
): Operation {
  return (n) => (kind === 'put' ? client.put(key(n), valueOf(valueBytes, n)) : client.get(key(n)));
}

async function closedLoop(
  depth: number,
  seconds: number,
  operation: Operation,
  kind: Kind,
  { valueBytes }: DataOptions,
): Promise<Outcome> {
  const result = await runLoad({ inFlight: depth, seconds, operation });
  return {
    ...result,
    lost: lostOf(result.failed),
    payloadBytes: kind === 'put' ? result.operations * (keyOf(0).length + valueBytes) : 0,
  };
}

function lostOf(count: number): number | undefined {
  return count === 0 ? undefined : count;
}

/** By h2load: ours in an `AtomicBatch`, etcd's in a `Txn`. */
function batches({ valueBytes }: DataOptions): Scenario {
  const run = async ({ calls, leader, keysOfOneShard }: RunningSystem, seconds: number): Promise<Outcome> => {
    const puts = keysOfOneShard.slice(0, batchPuts).map((key, n) => ({ key, value: valueOf(valueBytes, n) }));
    const bytesEach = puts.reduce((sum, { key }) => sum + key.length + valueBytes, 0);
    return loaded({ endpoint: leader, call: calls.batch(puts), depth: batchDepth, seconds, bytesEach });
  };
  const name = `atomic batch of ${batchPuts} puts in one shard, ${batchDepth} in flight, ${valueBytes} B`;
  return { part: 'batches', name, unit: 'batches/s', needsH2load: true, ours: run, theirs: run };
}

/** Reads and writes of popular keys; unary to all nodes on both sides, and through our client. */
function mixes(readPercent: number, data: DataOptions): Scenario[] {
  const mixed = (
    read: (key: Uint8Array) => Promise<unknown>,
    write: (key: Uint8Array, value: Uint8Array) => Promise<unknown>,
  ): Operation => {
    const draw = popularKeys(data.keys, popularSeed);
    // 37 and 100 have no factor in common: in 100 operations each percentage comes once.
    return (n) => ((n * 37) % 100 < readPercent ? read(draw()) : write(draw(), valueOf(data.valueBytes, n)));
  };
  const run = async (operation: Operation, seconds: number): Promise<Outcome> => {
    const result = await runLoad({ inFlight: usualDepth, seconds, operation });
    const writes = (result.operations * (100 - readPercent)) / 100;
    return { ...result, lost: lostOf(result.failed), payloadBytes: writes * (keyOf(0).length + data.valueBytes) };
  };
  const runUnary = async ({ calls, endpoints }: RunningSystem, seconds: number): Promise<Outcome> => {
    using client = new UnaryClient(endpoints, 2);
    const read = (key: Uint8Array): Promise<void> => client.call(calls.get(key));
    const write = (key: Uint8Array, value: Uint8Array): Promise<void> => client.call(calls.put(key, value));
    return await run(mixed(read, write), seconds);
  };
  const runStream = ({ client }: RunningQuorate, seconds: number): Promise<Outcome> =>
    run(
      mixed(
        (key) => client.get(key),
        (key, value) => client.put(key, value),
      ),
      seconds,
    );
  const name = (by: string): string =>
    `${readPercent} % gets, zipfian keys, ${by}, ${usualDepth} in flight, ${data.valueBytes} B`;
  const unaryScenario = name('unary to all nodes');
  const shared = { part: 'mixes', unit: 'operations/s', needsH2load: false } as const;
  return [
    { ...shared, name: unaryScenario, ours: runUnary, theirs: runUnary },
    { ...shared, name: name('stream of the TypeScript client'), ours: runStream, theirs: unaryScenario },
  ];
}

function rateName(by: string, rate: number, { valueBytes }: DataOptions): string {
  return `put, ${by}, ${rate} due each second, ${valueBytes} B`;
}

/** Puts at a rate that does not wait for answers. */
function unaryAtRate(rate: number, data: DataOptions): Scenario {
  const by = 'unary to all nodes';
  const run = async ({ calls, endpoints }: RunningSystem, seconds: number): Promise<Outcome> => {
    using client = new UnaryClient(endpoints, 2);
    const operation: Operation = (n) => client.call(calls.put(spreadKey(n, data.keys), valueOf(data.valueBytes, n)));
    return await atRate(rate, seconds, operation, data);
  };
  const place: PlotPlace = { plot: 'rate', line: by, at: rate };
  const name = rateName(by, rate, data);
  return { part: 'rates', name, unit: 'operations/s', needsH2load: false, place, ours: run, theirs: run };
}

/** Beside etcd's unary calls at the same rate. */
function streamAtRate(rate: number, data: DataOptions): Scenario {
  const by = 'stream of the TypeScript client';
  const ours = (running: RunningQuorate, seconds: number): Promise<Outcome> => {
    const operation = streamOperation(running, 'put', data, (n) => spreadKey(n, data.keys));
    return atRate(rate, seconds, operation, data);
  };
  const place: PlotPlace = { plot: 'rate', line: by, at: rate };
  const theirs = rateName('unary to all nodes', rate, data);
  return {
    part: 'rates',
    name: rateName(by, rate, data),
    unit: 'operations/s',
    needsH2load: false,
    place,
    ours,
    theirs,
  };
}

async function atRate(
  perSecond: number,
  seconds: number,
  operation: Operation,
  { valueBytes }: DataOptions,
): Promise<Outcome> {
  const result = await runOpenLoad({ perSecond, seconds, openMax, operation });
  const payloadBytes = result.operations * (keyOf(0).length + valueBytes);
  return { ...result, payloadBytes, lost: lostOf(result.failed + result.dropped) };
}
