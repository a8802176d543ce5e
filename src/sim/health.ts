/** How long a cluster could serve what clients ask: while a majority of its machines are well and know who leads every shard. */
import type { SimCluster, SimMachine } from './cluster.js';

/** Of clients, in such a second. A refusal is none. */
const successesMinPerSecond = 0.5;
/** Asking a node is asking for the leaders of all shards. */
const lookMs = 500;

export class Health {
  readonly #cluster: SimCluster;
  #looksWell = 0;
  #isOver = false;

  constructor(cluster: SimCluster) {
    this.#cluster = cluster;
  }

  /** Virtual seconds so far. */
  get seconds(): number {
    return (this.#looksWell * lookMs) / 1000;
  }

  start(): void {
    this.#cluster.scheduler.schedule(lookMs, 'looks how the machines are', () => {
      if (this.#isOver) return;
      const { inService } = this.#cluster;
      if (2 * inService.filter(isWell).length > inService.length) this.#looksWell++;
      this.start();
    });
  }

  stop(): void {
    this.#isOver = true;
  }
}

function isWell({ node, process, disk }: SimMachine): boolean {
  const isDiskWell = disk.slowness === 1 && disk.quotaBytes === Infinity && !disk.isStalled;
  return isDiskWell && process?.state === 'running' && node?.isReady === true;
}

/** Why a run shows nothing: its load did not run although the machines were well. */
export function checkLoad(successes: number, healthySeconds: number): string | undefined {
  const min = Math.max(1, Math.floor(successesMinPerSecond * healthySeconds));
  if (successes >= min) return undefined;
  return `${successes} operations were done in ${healthySeconds} s in which ${min} could be: too few to mean anything`;
}
