/**
 * How long a cluster could serve what clients ask: while a majority of its machines are well and know who leads every shard, and lines to
 * all of that majority are open to one of them. Who is quiet takes its leader for one while the line is held.
 */
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';

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
      if (canServe(this.#cluster)) this.#looksWell++;
      this.start();
    });
  }

  stop(): void {
    this.#isOver = true;
  }
}

function canServe({ inService, network }: SimCluster): boolean {
  const well = inService.filter(isWell);
  const isOpen = (a: SimMachine, b: SimMachine): boolean =>
    a === b || [network.link(a.name, b.name), network.link(b.name, a.name)].every(({ state }) => state === 'open');
  return well.some((hub) => 2 * well.filter((other) => isOpen(hub, other)).length > inService.length);
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
