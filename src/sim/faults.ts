/**
 * Faults while clients work: drawn from the seed, one at a time or several on top of each other, each undone after a
 * while. At the end `heal` undoes all. A majority may be down for a while; what is lost then is only time.
 */
import type { Prng } from '../base/prng.js';
import type { SimCluster, SimMachine } from './cluster.js';
import type { CrashKeeps } from './disk.js';

const faultTypes = [
  'crash',
  'powerLoss',
  'pause',
  'isolate',
  'oneWay',
  'hold',
  'slowNetwork',
  'slowDisk',
  'clockJump',
] as const;
export type FaultType = (typeof faultTypes)[number];

export interface FaultOptions {
  /** Virtual milliseconds between two faults, at most. */
  readonly gapMsMax: number;
  /** Virtual milliseconds that a fault lasts, at most. */
  readonly lastsMsMax: number;
}

export class Faults {
  /** How often each really happened. */
  readonly counts: Record<FaultType, number> = {
    crash: 0,
    powerLoss: 0,
    pause: 0,
    isolate: 0,
    oneWay: 0,
    hold: 0,
    slowNetwork: 0,
    slowDisk: 0,
    clockJump: 0,
  };
  readonly #cluster: SimCluster;
  readonly #options: FaultOptions;
  readonly #random: Prng;
  /** The kinds of this run: a few, so that over many seeds each meets each with and without the others. */
  readonly #types: readonly FaultType[];
  #stopped = false;

  constructor(cluster: SimCluster, options: FaultOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#random = cluster.random.split('faults');
    this.#types = this.#random.shuffle([...faultTypes]).slice(0, this.#random.int(2, 5));
  }

  start(): void {
    const delayMs = this.#random.float() * this.#options.gapMsMax;
    this.#cluster.scheduler.schedule(delayMs, 'next fault', () => {
      if (this.#stopped) return;
      this.#inject(this.#random.pick(this.#types));
      this.start();
    });
  }

  /** Ends all faults, for good; dead nodes start again. */
  heal(): void {
    this.#stopped = true;
    const { network, machines } = this.#cluster;
    network.heal();
    for (const from of machines) for (const to of machines) network.setLink(from.name, to.name, { delayMs: [0.05, 2] });
    for (const machine of machines) {
      machine.disk.slowness = 1;
      machine.process?.resume();
      machine.start();
    }
  }

  #inject(type: FaultType): void {
    const machine = this.#random.pick(this.#cluster.machines);
    const undo = this.#begin(type, machine);
    if (undo === undefined) return;
    this.counts[type]++;
    this.#cluster.scheduler.note(`fault ${type} on ${machine.name}`);
    const lastsMs = this.#random.float() * this.#options.lastsMsMax;
    this.#cluster.scheduler.schedule(lastsMs, `end of ${type} on ${machine.name}`, () => {
      if (!this.#stopped) undo();
    });
  }

  /** Begins a fault and returns how to end it; undefined when it makes no sense now. */
  #begin(type: FaultType, machine: SimMachine): (() => void) | undefined {
    switch (type) {
      case 'crash':
        return this.#crash(machine, 'all');
      case 'powerLoss':
        return this.#crash(machine, this.#random.chance(0.5) ? 'none' : 'random');
      case 'pause': {
        const { process } = machine;
        if (process?.state !== 'running') return undefined;
        process.pause();
        return () => process.resume();
      }
      case 'isolate':
        return this.#setLinks(machine, ['in', 'out'], 'blocked');
      case 'oneWay':
        return this.#setLinks(machine, [this.#random.pick(['in', 'out'] as const)], 'blocked');
      case 'hold':
        return this.#setLinks(machine, [this.#random.pick(['in', 'out'] as const)], 'held');
      case 'slowNetwork': {
        const max = this.#random.int(10, 300);
        this.#delayLinks(machine, [1, max]);
        return () => this.#delayLinks(machine, [0.05, 2]);
      }
      case 'slowDisk':
        machine.disk.slowness = this.#random.int(10, 300);
        return () => {
          machine.disk.slowness = 1;
        };
      case 'clockJump':
        machine.clock.jumpWall(this.#random.int(-120_000, 120_000));
        return () => undefined;
    }
  }

  #crash(machine: SimMachine, keep: CrashKeeps): (() => void) | undefined {
    if (!machine.isUp) return undefined;
    machine.crash(keep);
    return () => machine.start();
  }

  #others(machine: SimMachine): SimMachine[] {
    return this.#cluster.machines.filter((other) => other !== machine);
  }

  #setLinks(machine: SimMachine, directions: readonly ('in' | 'out')[], state: 'blocked' | 'held'): () => void {
    // All others or only some of them: a full partition, or a bridge.
    const others = this.#others(machine).filter((_, i, all) => all.length === 1 || i === 0 || this.#random.chance(0.6));
    const set = (to: 'blocked' | 'held' | 'open'): void => {
      for (const { name } of others) {
        if (directions.includes('in')) this.#cluster.network.setLink(name, machine.name, { state: to });
        if (directions.includes('out')) this.#cluster.network.setLink(machine.name, name, { state: to });
      }
    };
    set(state);
    return () => set('open');
  }

  #delayLinks(machine: SimMachine, delayMs: readonly [number, number]): void {
    for (const { name } of this.#others(machine)) {
      this.#cluster.network.setLink(name, machine.name, { delayMs });
      this.#cluster.network.setLink(machine.name, name, { delayMs });
    }
  }
}
