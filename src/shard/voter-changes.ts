/**
 * Which replicas of a shard are to vote: a wish of an operator or of the placement, carried out by the replica that
 * leads, step by step, through a joint configuration where more than one replica changes its role.
 *
 * Invariants
 * - A wish ends exactly once: when what was wished for acts here, when another takes its place, or when leadership is lost.
 * - What is proposed follows the configuration that acts, and the next is proposed only when it acts: the core refuses
 *   everything else.
 */
import { QuorateError } from '../base/errors.js';
import type { NodeId, ReplicaId, ShardId } from '../base/ids.js';
import { type Configuration, isJoint } from '../raft/config.js';
import { changedConfiguration } from '../raft/config-change.js';
import type { ChangeResult } from '../raft/raft.js';
import type { GroupDescriptor } from './group-descriptor.js';

/** Undefined: these vote, and the others learn. Otherwise nothing more is done, and what was proposed may still act. */
export type VotersDone = (error: QuorateError | undefined) => void;

export interface VoterChangesOptions {
  readonly shard: ShardId;
  readonly descriptor: () => GroupDescriptor;
  /** Proposes that `next` follows the configuration that acts. */
  readonly propose: (next: Configuration) => ChangeResult;
}

interface Wish {
  readonly nodes: readonly NodeId[];
  readonly done: VotersDone;
}

/** What of `nodes` cannot be wished for; undefined when it can. */
export function votersFault({ replicas, shard }: GroupDescriptor, nodes: readonly NodeId[]): string | undefined {
  if (nodes.length === 0) return `shard ${shard} needs a voter`;
  if (new Set(nodes).size < nodes.length) return `node ${nodes.join(', ')}: a node is named twice`;
  const stranger = nodes.find((node) => replicas.every((replica) => replica.node !== node));
  return stranger === undefined ? undefined : `shard ${shard} has no replica on node ${stranger}`;
}

/** The next configuration on the way to voters on `nodes`; undefined when it is reached, or a joint one has to be left first. */
function nextConfiguration(descriptor: GroupDescriptor, nodes: readonly NodeId[]): Configuration | undefined {
  const { replicas, configuration } = descriptor;
  if (isJoint(configuration)) return undefined;
  const voters: ReplicaId[] = [];
  const learners: ReplicaId[] = [];
  for (const { replica, node } of replicas) (nodes.includes(node) ? voters : learners).push(replica);
  const isReached =
    voters.length === configuration.voters.length && voters.every((id, i) => id === configuration.voters[i]);
  return isReached ? undefined : changedConfiguration(configuration, { voters, learners });
}

export class VoterChanges {
  readonly #options: VoterChangesOptions;
  #wish: Wish | undefined;

  constructor(options: VoterChangesOptions) {
    this.#options = options;
  }

  /** Takes the place of a wish that is under way. `nodes` is without {@link votersFault}. */
  begin(nodes: readonly NodeId[], done: VotersDone): void {
    this.#end(this.#error('another change of its voters has begun', true));
    this.#wish = { nodes, done };
    this.proceed();
  }

  /** Something was applied, or time has passed: a replica that is to vote may have caught up. */
  proceed(): void {
    const wish = this.#wish;
    if (wish === undefined) return;
    const descriptor = this.#options.descriptor();
    if (isJoint(descriptor.configuration)) return;
    const next = nextConfiguration(descriptor, wish.nodes);
    if (next === undefined) {
      this.#end(undefined);
      return;
    }
    const result = this.#options.propose(next);
    if (result.type === 'refused' && result.reason === 'notLeader') this.lost();
  }

  /** This replica leads no more. */
  lost(): void {
    this.#end(this.#error('the leader changed', true));
  }

  close(): void {
    this.#end(
      new QuorateError('NODE_STOPPING', 'the node is stopping', { shard: this.#options.shard, outcome: 'unknown' }),
    );
  }

  #error(reason: string, isUnknown: boolean): QuorateError {
    const { shard } = this.#options;
    return new QuorateError('NOT_LEADER', `shard ${shard}: ${reason}`, {
      shard,
      outcome: isUnknown ? 'unknown' : 'notApplied',
    });
  }

  #end(error: QuorateError | undefined): void {
    const wish = this.#wish;
    this.#wish = undefined;
    wish?.done(error);
  }
}
