/**
 * What must hold soon after a quorum is healed, while a minority stays broken: a write and a linearizable read on each shard that can
 * be served, through each machine that is able. A probe that fails is sent again, as a client does, until the time is over.
 */
import type { ShardId } from '../base/ids.js';
import type { OperationResult } from '../mvcc/operations.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';
import { canServe, type IsAble, type Minority } from './minority.js';
import { probes, type Probe } from './recovery.js';

/**
 * From healing, in virtual milliseconds. Electing takes up to three election timeouts of a second; before that, machines that were down
 * start and replay their logs, and connections come up again.
 */
const progressMsMax = 15_000;
const tryMs = 1000;
/** A process that dies does not answer. */
const patienceMs = tryMs + 500;
const againMs = 100;
/** Whether all is done. */
const lookEveryMs = 10;
/** Of the sessions whose requests these are. */
const sessionByte = 0x80;

export interface HealedQuorum {
  readonly minority: Minority;
  /** Between these nothing gets through, but through others; empty is none. */
  readonly line: readonly SimMachine[];
  readonly isAble: IsAble;
  /** Able ones that are members for good: through each of them all of it must work. */
  readonly through: readonly SimMachine[];
}

export async function requireQuorumProgress(cluster: SimCluster, healed: HealedQuorum): Promise<string | undefined> {
  const { scheduler } = cluster;
  const probing = healed.through.map((machine) => new Probing(cluster, healed, machine));
  for (const each of probing) each.start();
  const isDone = (): boolean => probing.every((each) => each.isDone);
  if (await scheduler.runUntil(isDone, scheduler.nowMs + progressMsMax, lookEveryMs)) return undefined;
  for (const each of probing) each.stop();
  const broken = [...healed.minority].map(([{ name }, way]) => `${name} (${way})`).join(', ');
  const cut = healed.line.map(({ name }) => name).join(' and ');
  const missing = probing.flatMap((each) => each.missing).join('; ');
  return `${progressMsMax} ms after a quorum was healed, without ${broken || `a line between ${cut || 'none'}`}: ${missing}`;
}

/**
 * Through one machine: all shards at a time, since a leader with a stalled disk hands over each only when somebody asks for it, and one
 * probe of a shard after another.
 */
class Probing {
  readonly #cluster: SimCluster;
  readonly #healed: HealedQuorum;
  readonly #machine: SimMachine;
  /** Undefined until the node has come up and knows all shards. */
  #left: Map<ShardId, Probe[]> | undefined;
  #isOver = false;
  readonly #errors = new Map<ShardId, string>();

  constructor(cluster: SimCluster, healed: HealedQuorum, machine: SimMachine) {
    this.#cluster = cluster;
    this.#healed = healed;
    this.#machine = machine;
  }

  start(): void {
    if (this.#isOver) return;
    this.#left = this.#plan();
    if (this.#left === undefined) this.#later(() => this.start());
    else for (const shard of this.#left.keys()) this.#next(shard);
  }

  stop(): void {
    this.#isOver = true;
  }

  get isDone(): boolean {
    return this.#left?.size === 0;
  }

  get missing(): string[] {
    const { name } = this.#machine;
    if (this.#left === undefined) return [`${name} does not know the shards`];
    return [...this.#left.keys()].map(
      (shard) => `shard ${shard} through ${name}: ${this.#errors.get(shard) ?? 'no answer'}`,
    );
  }

  #next(shard: ShardId): void {
    if (this.#isOver) return;
    const probe = canServe(this.#cluster, shard, this.#healed.isAble) ? this.#left?.get(shard)?.[0] : undefined;
    if (probe === undefined) {
      this.#left?.delete(shard);
      return;
    }
    let isEnded = false;
    const end = (failure: string | undefined): void => {
      if (isEnded) return;
      isEnded = true;
      this.#ended(probe, failure);
    };
    const isTaken = this.#machine.submit(probe.operation, tryMs, (result) => end(this.#failureOf(result)));
    if (!isTaken) end(`${this.#machine.name} is down: ${this.#machine.failure?.message ?? 'it starts'}`);
    else this.#cluster.scheduler.schedule(patienceMs, 'a probe is given up', () => end('no answer'));
  }

  #plan(): Map<ShardId, Probe[]> | undefined {
    const shards = this.#machine.node?.shardMap().shards ?? [];
    if (shards.length < this.#cluster.shards) return undefined;
    return new Map(shards.map(({ descriptor }) => [descriptor.shard, probes(descriptor, this.#machine, sessionByte)]));
  }

  #ended(probe: Probe, failure: string | undefined): void {
    const { shard } = probe;
    if (failure === undefined) {
      this.#left?.get(shard)?.shift();
      this.#next(shard);
      return;
    }
    this.#errors.set(shard, `${probe.operation.type}: ${failure}`);
    this.#later(() => this.#next(shard));
  }

  #later(step: () => void): void {
    this.#cluster.scheduler.schedule(againMs, 'a probe is sent again', step);
  }

  /** Whose disk is full leads on, and refuses writes only. */
  #failureOf(result: OperationResult): string | undefined {
    if (result.type !== 'failed') return undefined;
    const isFull = [...this.#healed.minority.values()].includes('fullMinority');
    return isFull && result.error.code === 'DISK_FULL' ? undefined : result.error.message;
  }
}
