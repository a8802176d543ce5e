/** The faults that a run may meet, and how each begins and ends on one machine. */
import type { Prng } from '../base/prng.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';
import { SimDisk, type CrashKeeps } from './disk.js';
import { damage, damageTypes, isExplainedByDamage, type DamageType } from './disk-damage.js';
import type { Fault } from './fault.js';
import { oldMs, type Link } from './link.js';
import { changeMembers } from './membership-operator.js';
import { defaultDelayMs } from './network.js';
import type { NodeOperator } from './node-operator.js';

export const faultTypes = [
  /** The process dies (SIGKILL). */
  'crash',
  /** The machine loses power, and what was not synced. */
  'powerLoss',
  /** All processes die at once; some machines may lose power with it. */
  'blackout',
  /** SIGSTOP, and SIGCONT later. */
  'pause',
  /** As `pause`, for minutes: what was sent to it waits so long. Counted when something did. */
  'longPause',
  /** Nothing gets through between one machine and all or some of the others. */
  'isolate',
  /** As `isolate`, in one direction only. */
  'oneWay',
  /** Nothing gets through between two groups of machines. */
  'partition',
  /** What is sent in one direction is late by as long as this lasts; no connection breaks. */
  'hold',
  /**
   * As `hold`, for minutes, while a byte now and then shows the other side that the line lives. Counted when something arrived that was a
   * minute old.
   */
  'longHold',
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
  /** The rest of a disk fault is in disk-damage.ts. Counted when the node has stopped because of it, or has repaired itself. */
  ...damageTypes,
  /** The disk is another one, empty. Counted when the node was refused for that. */
  'lostDisk',
  'clockJump',
  'clockDrift',
  'clockFreeze',
  /** The monotonic clock moves ahead at once. */
  'monotonicJump',
  /** No clock moves and no timer fires, while everything else goes on. */
  'monotonicFreeze',
  /**
   * A shard is to have replicas on other nodes, or others of them vote; at times its leader is cut off with what it then proposes. Counted
   * when it is so.
   */
  'changeMembers',
  /** A fresh machine joins the cluster, and perhaps a shard moves to it: node-operator.ts. Counted when it is a member. */
  'addNode',
  /** A node is removed from the cluster. Counted when it is gone. */
  'removeNode',
] as const;
export type FaultType = (typeof faultTypes)[number];

/** In few runs, which are longer for it. */
export const faultsOfMinutes = ['longPause', 'longHold'] as const satisfies readonly FaultType[];
/** In some runs, together: without the one there is no room for the other. */
export const nodeFaults = ['addNode', 'removeNode'] as const satisfies readonly FaultType[];

/** Faults after which the machine has to be replaced; they come to one machine of a run only. */
export function isLossOfDisk(type: FaultType): boolean {
  return type === 'lostDisk' || (damageTypes as readonly FaultType[]).includes(type);
}

/** A drifting clock is at most this much faster or slower than it should be. */
export const clockRates = { min: 0.8, max: 1.25 } as const;
/** Where leaders have leases, which rest on clocks that differ less. */
const clockRatesWithLeases = { min: 0.92, max: 1.1 } as const;
const clockJumpMsMax = 120_000;
/** Of partitions of more than three machines. */
const ringChance = 0.3;
export const faultOfMinutesMs = { min: oldMs, max: 180_000 } as const;
/** Sooner than a node takes the other side for dead. */
const trickleEveryMs = 500;
/** What was held arrives within this. */
const releaseMs = 1000;

export interface FaultPlace {
  readonly cluster: SimCluster;
  readonly machine: SimMachine;
  /** Of the run, if there is one: its disk may be lost, so every shard must have a majority elsewhere. */
  readonly victim?: SimMachine | undefined;
  readonly nodeOperator: NodeOperator;
  readonly random: Prng;
}

/** Begins a fault; undefined when it makes no sense now. Draws from `random` whatever is left open. */
export function beginFault(type: FaultType, place: FaultPlace): Fault | undefined {
  const { cluster, machine, victim, nodeOperator, random } = place;
  const others = cluster.machines.filter((other) => other !== machine);
  const cutOff = (from: SimMachine): Fault => {
    const rest = cluster.machines.filter((other) => other !== from);
    return changeLinks(cluster, bothDirections([from], rest), { state: 'blocked' });
  };
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
    case 'longPause':
      return longPause(machine, cluster, random);
    case 'isolate':
      return changeLinks(cluster, bothDirections([machine], some(others, random)), { state: 'blocked' });
    case 'oneWay':
      return changeLinks(cluster, oneDirection(machine, some(others, random), random), { state: 'blocked' });
    case 'hold':
      return changeLinks(cluster, oneDirection(machine, some(others, random), random), { state: 'held' });
    case 'longHold':
      return longHold(cluster, oneDirection(machine, some(others, random), random), random);
    case 'partition': {
      const machines = random.shuffle([...cluster.machines]);
      // Of three all are neighbours.
      if (machines.length > 3 && random.chance(ringChance)) return ring(cluster, machines);
      const minority = machines.splice(0, machines.length >> 1);
      return changeLinks(cluster, bothDirections(minority, machines), { state: 'blocked' });
    }
    case 'reset':
      for (const [from, to] of bothDirections([machine], some(others, random))) cluster.network.reset(from, to);
      return { end: () => undefined };
    case 'slowNetwork':
      return changeLinks(cluster, bothDirections([machine], others), { delayMs: [1, random.int(10, 300)] });
    case 'slowDisk':
      machine.disk.slowness = random.pick([random.int(10, 300), 1000]);
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
      return victim === undefined ? changeMembers(cluster, random, cutOff) : undefined;
    case 'addNode':
      return nodeOperator.add();
    case 'removeNode':
      return nodeOperator.remove();
    case 'bitFlip':
    case 'zeroedSector':
    case 'zeroedBlocks':
    case 'misdirectedWrite':
    case 'unreadableSector':
      return damageDisk(cluster, machine, type, random);
    case 'lostDisk':
      return loseDisk(cluster, machine, random);
    case 'monotonicJump':
      if (cluster.raft.leaderLease) return undefined;
      machine.clock.jumpMonotonic(random.int(1, clockJumpMsMax));
      return { end: () => undefined };
    case 'monotonicFreeze':
      if (cluster.raft.leaderLease) return undefined;
      machine.clock.freezeMonotonic();
      return { end: () => machine.clock.thawMonotonic() };
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

function longPause({ process }: SimMachine, { scheduler }: SimCluster, random: Prng): Fault | undefined {
  if (process?.state !== 'running') return undefined;
  const sinceMs = scheduler.nowMs;
  process.pause();
  return {
    lastsMs: random.int(faultOfMinutesMs.min, faultOfMinutesMs.max),
    hadEffect: () => process.heldCount > 0 && scheduler.nowMs >= sinceMs + faultOfMinutesMs.min,
    end: () => process.resume(),
  };
}

function longHold(cluster: SimCluster, directions: readonly Direction[], random: Prng): Fault {
  const { network, scheduler } = cluster;
  const old = (): number => directions.reduce((sum, [from, to]) => sum + network.link(from, to).oldArrivals, 0);
  const before = old();
  const { end: release } = changeLinks(cluster, directions, { state: 'held' });
  const untilMs = scheduler.nowMs + random.int(faultOfMinutesMs.min, faultOfMinutesMs.max);
  let isOver = false;
  const trickle = (): void => {
    if (isOver) return;
    if (scheduler.nowMs >= untilMs) {
      release();
      return;
    }
    for (const [from, to] of directions) network.trickle(from, to);
    scheduler.schedule(trickleEveryMs, 'a held link trickles', trickle);
  };
  trickle();
  return {
    lastsMs: untilMs - scheduler.nowMs + trickleEveryMs + releaseMs,
    hadEffect: () => old() > before,
    end: () => {
      isOver = true;
      release();
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

/** Under a node that runs, or while it is down for a moment. */
function damageDisk(cluster: SimCluster, machine: SimMachine, type: DamageType, random: Prng): Fault | undefined {
  if (cluster.replicationFactor === 1) return undefined;
  const failures = cluster.failures.length;
  const { repairs } = machine;
  if (random.chance(0.5)) machine.crash(random.pick(['all', 'none']));
  const place = damage(machine.disk, type, random);
  if (place === undefined) {
    machine.start();
    return undefined;
  }
  cluster.scheduler.note(`${type} in ${place.path} at ${place.offset}`);
  machine.suspect();
  machine.start();
  const hadEffect = (): boolean => machine.repairs > repairs || hasStopped(cluster, machine, failures);
  return { end: () => undefined, hadEffect };
}

function loseDisk(cluster: SimCluster, machine: SimMachine, random: Prng): Fault | undefined {
  if (cluster.replicationFactor === 1) return undefined;
  const failures = cluster.failures.length;
  machine.crash('all');
  machine.suspect();
  machine.disk = new SimDisk({ random: random.split('new disk') });
  machine.start();
  return { end: () => undefined, hadEffect: () => hasStopped(cluster, machine, failures) };
}

/** Whether the machine's node has stopped for the sake of its disk; `failures` of the cluster came before. */
function hasStopped(cluster: SimCluster, machine: SimMachine, failures: number): boolean {
  return cluster.failures
    .slice(failures)
    .some((failure) => failure.machine === machine && isExplainedByDamage(failure));
}

/** As many as all or only one, whichever: a full partition, a bridge, or one line that is cut. */
function some(machines: readonly SimMachine[], random: Prng): SimMachine[] {
  return random.shuffle([...machines]).slice(0, random.int(1, machines.length));
}

/** Each sees the one before it and the one after it. */
function ring(cluster: SimCluster, machines: readonly SimMachine[]): Fault {
  cluster.coverage.operated('ring');
  const apart = machines.flatMap((machine, i) => {
    // What comes after the next one; the last is the one before the first.
    const others = machines.slice(i + 2, i === 0 ? -1 : undefined);
    return bothDirections([machine], others);
  });
  return changeLinks(cluster, apart, { state: 'blocked' });
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
