import type { Prng } from '../base/prng.js';
import type { Background } from './background.js';
import type { Clock } from './clock.js';
import type { Disk } from './disk.js';
import type { Logger } from './logger.js';
import type { Network } from './network.js';

/** All that a node has of the outside world. The platform makes one for a process, the simulator one for each node. */
export interface Env {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly network: Network;
  readonly background: Background;
  readonly random: Prng;
  readonly logger: Logger;
}
