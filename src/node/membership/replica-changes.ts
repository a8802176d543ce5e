/**
 * An operator's wish for the replicas of a shard, carried out by whichever node leads it. Where the leader hands over because it
 * is to leave, or for another reason, the next one is asked to go on: the wish says what is to be, so it may be said again.
 */
import { QuorateError } from '../../base/errors.js';
import type { NodeId, ShardId } from '../../base/ids.js';
import { placementShardId } from '../../base/ids.js';
import type { Clock } from '../../env/clock.js';
import { inTime } from '../../env/in-time.js';
import { pause } from '../../env/pause.js';
import type { NodeStage } from '../../placement/node-registry.js';
import { equalConfigurations } from '../../raft/config.js';
import type { WantedReplicas } from '../../rpc/backend.js';
import type { MemberWish, PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import { withLearners, type ShardDescriptor } from '../../shard/descriptor.js';
import type { GroupDescriptor } from '../../shard/group-descriptor.js';
import {
  type MembersWanted,
  membersNow,
  membersWith,
  type SealedMembers,
  type WantedMembers,
} from '../../shard/member-changes.js';
import type { Replica } from '../../shard/replica.js';

/** A shard here, whose replica may lead it. */
interface LedShard {
  readonly replica: Pick<Replica, 'descriptor' | 'isChangingMembers' | 'changeMembers'>;
}

export interface ReplicaChangesOptions {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  /** Nodes that are known. */
  readonly nodes: () => ReadonlySet<NodeId>;
  /** See `storeInUse`. */
  readonly storeOf: (node: NodeId) => string | undefined;
  /** See `nodeStage`. */
  readonly stageOf: (node: NodeId) => NodeStage | undefined;
  /** See `plannedFor`. */
  readonly plannedFor: (shard: ShardId) => NodeId | undefined;
  /** As the map has it; and the placement group. */
  readonly shardInMap: (shard: ShardId) => ShardDescriptor | undefined;
  readonly hosted: (shard: ShardId) => LedShard | undefined;
  /** Of the shard, as far as this node knows. */
  readonly leaderOf: (shard: ShardDescriptor) => NodeId | undefined;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** Has the placement group know that these are the members that an operator wanted. */
  readonly tellWanted: (shard: ShardDescriptor) => Promise<void>;
}

/** Between two tries. */
const retryMs = 200;
/** Of one try: the leader may be another one meanwhile, and not know. */
const tryMsMax = 5000;

/** Who are to be the members of a shard: all of them, or one, whatever the others are. */
export type MembersWish = Extract<PeerRequest, { type: 'changeMembers' | 'changeMember' }>;

/**
 * By the leader of the shard. Resolves with the group when these are its members; rejects with NOT_LEADER when another must go on, with
 * UNAVAILABLE when it would give a replica to a node that is not in service, or has another data directory than was wished for, or while
 * a change that was proposed before does not act yet, and with EPOCH_MISMATCH what was decided on members that the shard has no more: by
 * a placement leader that was deposed since, or that has a map that is behind (as PD's operators name the region's conf_ver in TiKV).
 */
export function changeMembers(
  hosted: LedShard | undefined,
  wish: MembersWish,
  storeOf: (node: NodeId) => string | undefined,
): Promise<GroupDescriptor> {
  return membersReached(hosted, wish.shard, (replica) => {
    const { descriptor } = replica;
    const members = wish.type === 'changeMembers' ? wish.members : membersWished(replica, wish, storeOf);
    const isNew = (node: NodeId): boolean => descriptor.replicas.every((of) => of.node !== node);
    const absent = [...members.voters, ...members.learners].find((node) => isNew(node) && storeOf(node) === undefined);
    if (absent !== undefined)
      throw new QuorateError('UNAVAILABLE', `node ${absent} takes no replicas now`, { shard: wish.shard });
    return wish.type === 'changeMembers' ? members : (now) => membersAsWished(now, wish);
  });
}

/**
 * By the leader of the shard: these members get another membership epoch, so that what was decided on them before is refused from now
 * on. Rejects with NOT_LEADER, and with UNAVAILABLE when they are others by then.
 */
export async function sealMembers(hosted: LedShard | undefined, sealed: GroupDescriptor): Promise<void> {
  const { shard, epoch, configuration } = sealed;
  const asTheyAre = (now: GroupDescriptor): SealedMembers => ({ ...membersNow(now), above: epoch.membership });
  const now = await membersReached(hosted, shard, () => asTheyAre);
  if (equalConfigurations(now.configuration, configuration)) return;
  throw new QuorateError('UNAVAILABLE', `the members of shard ${shard} have changed again`, { shard });
}

/** By the leader: resolves with the group when its members are these. */
function membersReached(
  hosted: LedShard | undefined,
  shard: ShardId,
  wanted: (replica: LedShard['replica']) => MembersWanted,
): Promise<GroupDescriptor> {
  return new Promise((resolve, reject) => {
    if (hosted === undefined) throw new QuorateError('NOT_LEADER', `no replica of shard ${shard} here`, { shard });
    const { replica } = hosted;
    replica.changeMembers(wanted(replica), (error) => {
      if (error === undefined) resolve(replica.descriptor);
      else reject(error);
    });
  });
}

/**
 * What is wished for concerns one data directory: a replica in another one is none that the node is to have, and one that is to go
 * is not the one in the directory that is in use.
 */
function membersWished(
  { descriptor, isChangingMembers }: LedShard['replica'],
  wish: Extract<MembersWish, { type: 'changeMember' }>,
  storeOf: (node: NodeId) => string | undefined,
): WantedMembers {
  const { shard, node, storeId, membership } = wish;
  const current = descriptor.epoch.membership;
  if (membership < current) {
    const message = `shard ${shard} is at membership epoch ${current}, and this was decided at ${membership}`;
    throw new QuorateError('EPOCH_MISMATCH', message, { shard });
  }
  if (isChangingMembers) throw new QuorateError('UNAVAILABLE', `the members of shard ${shard} are changing`, { shard });
  const bound = storeOn(descriptor, node);
  const inUse = storeOf(node);
  const isFitting = inUse === storeId && (bound === undefined || bound === storeId);
  if (wish.role === 'none' || isFitting) return membersAsWished(descriptor, wish);
  const message = `the data directory of node ${node} is ${inUse ?? 'not in use'}, and its replica is in ${bound ?? 'none'}`;
  throw new QuorateError('UNAVAILABLE', message, { shard });
}

/** On the way there, too: it may have come while the group was joint, by an earlier wish. */
function membersAsWished(now: GroupDescriptor, wish: MemberWish): WantedMembers {
  const bound = storeOn(now, wish.node);
  const isOther = wish.role === 'none' && bound !== undefined && bound === wish.storeId;
  return isOther ? membersNow(now) : membersWith(now, wish);
}

function storeOn({ replicas }: GroupDescriptor, node: NodeId): string | undefined {
  return replicas.find((of) => of.node === node)?.storeId;
}

export class ReplicaChanges {
  readonly #options: ReplicaChangesOptions;
  readonly #closing = new AbortController();

  constructor(options: ReplicaChangesOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the shard has exactly these replicas. Rejects with INVALID_ARGUMENT, and with DEADLINE_EXCEEDED when they do
   * not stand after `timeoutMs`, or NODE_STOPPING: what was begun goes on for as long as the leader stays the same.
   */
  async change(wanted: WantedReplicas, timeoutMs: number): Promise<void> {
    this.#check(wanted);
    await this.#carryOut({ type: 'changeMembers', ...wanted }, timeoutMs);
  }

  /**
   * Has one node have a replica, or none, also of the placement group. Rejects as {@link change}, with the reason of `signal`, and with
   * EPOCH_MISMATCH where it must be decided anew: then nobody is asked any more. Nothing else is checked: it is for a decision of the
   * placement group.
   */
  changeMember(wanted: MemberWish, timeoutMs: number, signal: AbortSignal): Promise<void> {
    return this.#carryOut({ type: 'changeMember', ...wanted }, timeoutMs, signal);
  }

  /**
   * By the leader of the shard. An operator's wish stands only when the placement group knows of it: a node that began to be replaced or
   * removed meanwhile would get its replica back, or another one in its place. What was decided on these very members before it knew,
   * and comes after that, is refused: they are sealed.
   */
  async changeHere(wish: MembersWish): Promise<void> {
    const { hosted, storeOf, tellWanted } = this.#options;
    const descriptor = await changeMembers(hosted(wish.shard), wish, storeOf);
    if (wish.type === 'changeMember') return;
    await tellWanted(withLearners(descriptor, descriptor.configuration.learners));
    await sealMembers(hosted(wish.shard), descriptor);
  }

  async #carryOut(wanted: MembersWish, timeoutMs: number, signal = this.#closing.signal): Promise<void> {
    const { clock, shardInMap } = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    let reason = 'no leader is known';
    for (let tries = 0; ; tries++) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) throw late(wanted, timeoutMs, reason);
      const shard = shardInMap(wanted.shard);
      const node = shard === undefined ? undefined : this.#nodeToAsk(shard, tries);
      const failure =
        node === undefined ? undefined : await this.#ask(node, wanted, Math.min(leftMs, tryMsMax), signal);
      if (node !== undefined && failure === undefined) return;
      if (failure !== undefined) reason = failure.message;
      if (failure?.code === 'INVALID_ARGUMENT' || failure?.code === 'EPOCH_MISMATCH') throw failure;
      await pause(clock, Math.min(retryMs, leftMs), signal);
    }
  }

  #check({ shard, members }: WantedReplicas): void {
    const invalid = (message: string): QuorateError => new QuorateError('INVALID_ARGUMENT', message, { shard });
    if (shard === placementShardId) throw invalid('the replicas of the placement group (shard 0) cannot be changed');
    if (this.#options.shardInMap(shard) === undefined) throw invalid(`there is no shard ${shard}`);
    const { stageOf, storeOf, plannedFor } = this.#options;
    const planned = plannedFor(shard);
    if (planned !== undefined) {
      throw invalid(
        `node ${planned} is being replaced or removed, which would undo this for shard ${shard}: wait for its end, or ` +
          `run \`quorate node remove ${planned}\` if it is not to come back`,
      );
    }
    const nodes = this.#options.nodes();
    const named = [...members.voters, ...members.learners];
    const stranger = named.find((node) => !nodes.has(node));
    if (stranger !== undefined) throw invalid(`replicas: there is no node ${stranger}`);
    // One that is known and has not joined is about to, and waited for.
    const absent = named.find((node) => stageOf(node) !== undefined && storeOf(node) === undefined);
    if (absent !== undefined) throw invalid(`replicas: node ${absent} takes none: it is being replaced or removed`);
  }

  /** The leader, if it is known; otherwise one after the other. */
  #nodeToAsk(shard: ShardDescriptor, tries: number): NodeId | undefined {
    const leader = tries % 2 === 0 ? this.#options.leaderOf(shard) : undefined;
    return leader ?? shard.replicas[tries % shard.replicas.length]?.node;
  }

  /** What went wrong; undefined when it is done. Asks whoever is said to lead instead, once. */
  async #ask(
    node: NodeId,
    wanted: MembersWish,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<QuorateError | undefined> {
    const first = await this.#askOnce(node, wanted, timeoutMs, signal);
    if (first.type !== 'failed') return undefined;
    if (first.leader === undefined || first.leader === node || signal.aborted) return first.error;
    const second = await this.#askOnce(first.leader, wanted, timeoutMs, signal);
    return second.type === 'failed' ? second.error : undefined;
  }

  async #askOnce(node: NodeId, wanted: MembersWish, timeoutMs: number, signal: AbortSignal): Promise<PeerResponse> {
    const { nodeId, request, shardInMap, leaderOf, clock } = this.#options;
    const tooLong = (): QuorateError => new QuorateError('DEADLINE_EXCEEDED', 'it takes long');
    const here = async (): Promise<PeerResponse> => {
      await this.changeHere(wanted);
      return { type: 'membersChanged' };
    };
    try {
      const asked = node === nodeId ? here() : request(node, wanted, timeoutMs);
      return await inTime(asked, { clock, ms: timeoutMs, signal, late: tooLong });
    } catch (error) {
      const shard = shardInMap(wanted.shard);
      const leader = shard === undefined ? undefined : leaderOf(shard);
      return { type: 'failed', error: QuorateError.from(error), leader: leader === node ? undefined : leader };
    }
  }

  /** Ends what waits. */
  close(): void {
    this.#closing.abort(new QuorateError('NODE_STOPPING', 'the node is stopping', { outcome: 'unknown' }));
  }
}

function late({ shard }: MembersWish, timeoutMs: number, reason: string): QuorateError {
  const message = `shard ${shard} does not have these replicas after ${timeoutMs} ms, and may get them later: ${reason}`;
  return new QuorateError('DEADLINE_EXCEEDED', message, { shard, outcome: 'unknown' });
}
