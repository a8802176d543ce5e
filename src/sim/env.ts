import type { Prng } from '../base/prng.js';
import type { JobTable } from '../env/background.js';
import type { Env } from '../env/env.js';
import type { Logger } from '../env/logger.js';
import { SimBackground } from './background.js';
import { SimClock, type MachineClock } from './clock.js';
import type { SimDisk } from './disk.js';
import type { SimNetwork } from './network.js';
import type { SimProcess } from './process.js';
import type { Scheduler } from './scheduler.js';

export interface SimEnvOptions {
  readonly scheduler: Scheduler;
  /** The incarnation that this is for. */
  readonly process: SimProcess;
  /** Of the machine: they outlive the process. */
  readonly machine: { readonly clock: MachineClock; readonly disk: SimDisk };
  readonly network: SimNetwork;
  readonly jobs: JobTable;
  readonly logger: Logger;
  /** Of this incarnation alone. */
  readonly random: Prng;
}

/** The outside world of one incarnation of a simulated node. All of it ends with `process`. */
export function simEnv(options: SimEnvOptions): Env {
  const { scheduler, process, machine, network, jobs, logger, random } = options;
  const disk = machine.disk.mount(scheduler, process);
  return {
    clock: new SimClock(scheduler, process, machine.clock),
    disk,
    network: network.mount(process),
    background: new SimBackground({ scheduler, process, disk, jobs, random: random.split('background') }),
    random: random.split('node'),
    logger,
  };
}
