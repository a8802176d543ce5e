/** The faults that a run may meet, and how each begins and ends on one machine. */
import type { Prng } from '../base/prng.js';
import type { SimCluster, SimMachine } from './cluster.js';
import type { CrashKeeps } from './disk.js';
import type { Link } from './link.js';
import { changeMembers } from './membership-operator.js';
import { defaultDelayMs } from './network.js';

export const faultTypes = [
  /** The process dies (SIGKILL). */
  'crash',
  /** The machine loses power, and what was not synced. */
  'powerLoss',
  /** All processes die at once; some machines may lose power with it. */
  'blackout',
  /** SIGSTOP, and SIGCONT later. */
  'pause',
  /** Nothing gets through between one machine and all or some of the others. */
  'isolate',
  /** As `isolate`, in one direction only. */
  'oneWay',
  /** Nothing gets through between two groups of machines. */
  'partition',
  /** What is sent in one direction is late by as long as this lasts; no connection breaks. */
  'hold',
  /** Connections break, and what was on its way is lost. */
  'reset',
  'slowNetwork',
  'slowDisk',
  /** No operation of the disk ends. */
  'stalledDisk',
  /** Operations fail with EIO: the node stops, and is started again. */
  'diskError',
  /** Little space is left: the node refuses writes, or stops and is started again. */
  'fullDisk',
  'clockJump',
  'clockDrift',
  'clockFreeze',
  /** A shard is to have replicas on other nodes, or others of them vote. Counted when it is so. */
  'changeMembers',
] as const;
export type FaultType = (typeof faultTypes)[number];

/** A fault under way. */
export interface Fault {
  readonly end: () => void;
  /** Whether it has met anything so far. Without it: as soon as it began. */
  readonly hadEffect?: () => boolean;
}

/** A drifting clock is at most this much faster or slower than it should be. */
export const clockRates = { min: 0.8, max: 1.25 } as const;
/** Where leaders have leases, which rest on clocks that differ less. */
const clockRatesWithLeases = { min: 0.92, max: 1.1 } as const;
const clockJumpMsMax = 120_000;

/** Begins a fault; undefined when it makes no sense now. Draws from `random` whatever is left open. */
export function beginFault(
  type: FaultType,
  { cluster, machine, random }: { cluster: SimCluster; machine: SimMachine; random: Prng },
): Fault | undefined {
  const others = cluster.machines.filter((other) => other !== machine);
  switch (type) {
    case 'crash':
      return crash([machine], () => 'all');
    case 'powerLoss':
      return crash([machine], () => random.pick(['none', 'random']));
    case 'blackout':
      return crash(cluster.machines, () => random.pick(['all', 'none', 'random']));
    case 'pause': {
      const { process } = machine;
      if (process?.state !== 'running') return undefined;
      process.pause();
      return { end: () => process.resume() };
    }
    case 'isolate':
      return changeLinks(cluster, bothDirections([machine], some(others, random)), { state: 'blocked' });
    case 'oneWay':
      return changeLinks(cluster, oneDirection(machine, some(others, random), random), { state: 'blocked' });
    case 'hold':
      return changeLinks(cluster, oneDirection(machine, some(others, random), random), { state: 'held' });
    case 'partition': {
      const machines = random.shuffle([...cluster.machines]);
      const minority = machines.splice(0, machines.length >> 1);
      return changeLinks(cluster, bothDirections(minority, machines), { state: 'blocked' });
    }
    case 'reset':
      for (const [from, to] of bothDirections([machine], some(others, random))) cluster.network.reset(from, to);
      return { end: () => undefined };
    case 'slowNetwork':
      return changeLinks(cluster, bothDirections([machine], others), { delayMs: [1, random.int(10, 300)] });
    case 'slowDisk':
      machine.disk.slowness = random.int(10, 300);
      return {
        end: () => {
          machine.disk.slowness = 1;
        },
      };
    case 'stalledDisk':
      machine.disk.stall();
      return { end: () => machine.disk.unstall() };
    case 'diskError':
      return failDisk(machine, random);
    case 'fullDisk': {
      const before = machine.disk.refusedForSpace;
      machine.disk.quotaBytes = machine.disk.usedBytes() + random.pick([0, 1000, 10_000, 30_000]);
      return {
        end: () => {
          machine.disk.quotaBytes = Infinity;
          machine.start();
        },
        hadEffect: () => machine.disk.refusedForSpace > before,
      };
    }
    case 'clockJump':
      machine.clock.jumpWall(random.int(-clockJumpMsMax, clockJumpMsMax));
      return { end: () => undefined };
    case 'clockDrift': {
      const { min, max } = cluster.raft.leaderLease ? clockRatesWithLeases : clockRates;
      machine.clock.setRate(min + random.float() * (max - min));
      return { end: () => machine.clock.setRate(1) };
    }
    case 'changeMembers':
      return changeMembers(cluster, random);
    case 'clockFreeze':
      machine.clock.freezeWall();
      return { end: () => machine.clock.thawWall() };
  }
}

function crash(machines: readonly SimMachine[], keeps: () => CrashKeeps): Fault | undefined {
  const up = machines.filter(({ isUp }) => isUp);
  if (up.length === 0) return undefined;
  for (const machine of up) machine.crash(keeps());
  return {
    end: () => {
      for (const machine of up) machine.start();
    },
  };
}

function failDisk(machine: SimMachine, random: Prng): Fault {
  const operation = random.pick(['read', 'write', 'write', 'sync', 'sync', 'syncDirectory', 'open', 'rename'] as const);
  const place = random.pick(['/', '/log/', '/shards/']);
  let left = random.int(1, 3);
  let failed = 0;
  machine.disk.fault = (asked, path) => {
    if (asked !== operation || left === 0 || !path.includes(place)) return undefined;
    left--;
    failed++;
    return 'io';
  };
  return {
    end: () => {
      machine.disk.fault = undefined;
      machine.start();
    },
    hadEffect: () => failed > 0,
  };
}

/** All or only some: a full partition, or a bridge. */
function some(machines: readonly SimMachine[], random: Prng): SimMachine[] {
  return machines.filter((_, i) => i === 0 || random.chance(0.6));
}

type Direction = readonly [from: string, to: string];

function between(from: readonly SimMachine[], to: readonly SimMachine[]): Direction[] {
  return from.flatMap((a) => to.map((b): Direction => [a.name, b.name]));
}

function bothDirections(one: readonly SimMachine[], other: readonly SimMachine[]): Direction[] {
  return [...between(one, other), ...between(other, one)];
}

function oneDirection(machine: SimMachine, others: readonly SimMachine[], random: Prng): Direction[] {
  return random.chance(0.5) ? between([machine], others) : between(others, [machine]);
}

function changeLinks(
  { network }: SimCluster,
  directions: readonly Direction[],
  change: Partial<Pick<Link, 'state' | 'delayMs'>>,
): Fault {
  const set = (wanted: typeof change): void => {
    for (const [from, to] of directions) network.setLink(from, to, wanted);
  };
  set(change);
  return { end: () => set(change.state === undefined ? { delayMs: defaultDelayMs } : { state: 'open' }) };
}
