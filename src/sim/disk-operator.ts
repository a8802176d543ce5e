/**
 * What an operator does whose machine has a damaged or lost disk: keeps the process down, has the node replaced by asking some other
 * one, again and again until it is done, and starts it with an empty disk, again where it was refused.
 */
import { loadPlacementState, type PlacementState } from '../placement/placement-state.js';
import { placementShardId } from '../base/ids.js';
import type { Prng } from '../base/prng.js';
import { nodeStage } from '../placement/node-registry.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';
import { SimDisk } from './disk.js';

const lookMs = 500;
const askMsMax = 5000;

/**
 * - `asking`: the machine is out of service;
 * - `rejoining`: it has an empty disk, and is to get its replicas;
 * - `gone`: nobody knows the node, a newcomer that had not joined yet: it stays out of service.
 */
type State = 'asking' | 'rejoining' | 'done' | 'gone';

export class DiskOperator {
  readonly #cluster: SimCluster;
  readonly #machine: SimMachine;
  readonly #random: Prng;
  #state: State = 'asking';
  /** When the last ask ends, whatever becomes of it. */
  #askedUntilMs = 0;

  constructor(cluster: SimCluster, machine: SimMachine, random: Prng) {
    this.#cluster = cluster;
    this.#machine = machine;
    this.#random = random;
    machine.withdraw();
    cluster.scheduler.note(`${machine.name} is to be replaced`);
    this.#planLook();
  }

  get isOver(): boolean {
    return this.#state === 'done' || this.#state === 'gone';
  }

  /** How far it has come. */
  get state(): string {
    return `${this.#machine.name} is ${this.#state}`;
  }

  #planLook(): void {
    this.#cluster.scheduler.schedule(lookMs, `an operator looks at ${this.#machine.name}`, () => {
      if (this.#state === 'asking') this.#ask();
      else if (this.#state === 'rejoining') this.#lookWhetherDone();
      if (!this.isOver) this.#planLook();
    });
  }

  #ask(): void {
    const { scheduler, inService } = this.#cluster;
    const up = inService.filter(({ node }) => node !== undefined);
    if (up.length === 0 || scheduler.nowMs < this.#askedUntilMs) return;
    this.#askedUntilMs = scheduler.nowMs + askMsMax;
    const { node, process } = this.#random.pick(up);
    process?.enter(() => {
      node?.replaceNode(this.#machine.id, askMsMax).then(
        () => this.#replaced(),
        (error: unknown) => {
          if (error instanceof Error && error.message.startsWith('there is no node') && this.#state === 'asking')
            this.#state = 'gone';
        },
      );
    });
  }

  #replaced(): void {
    if (this.#state !== 'asking') return;
    this.#state = 'rejoining';
    this.#machine.putInService(new SimDisk({ random: this.#random.split('disk') }));
    this.#machine.start();
  }

  /** As the leader of the placement group has it. */
  #lookWhetherDone(): void {
    this.#machine.start();
    const { node: itself } = this.#machine;
    for (const { node } of this.#cluster.machines) {
      const replica = node?.host.shard(placementShardId)?.replica;
      if (replica?.isReadyLeader !== true || itself?.isReady !== true) continue;
      void loadPlacementState(replica.machine).then(
        (state) => this.#lookAt(state),
        // It is asked again.
        (error: unknown) => this.#cluster.scheduler.note(`the operator is told: ${String(error)}`),
      );
    }
  }

  #lookAt(state: PlacementState): void {
    const { id } = this.#machine;
    const isMember = state.nodes.has(id) && nodeStage(state, id) === undefined;
    if (!isMember || this.#state !== 'rejoining') return;
    this.#state = 'done';
    this.#machine.trust();
    this.#cluster.scheduler.note(`${this.#machine.name} was replaced`);
  }
}
