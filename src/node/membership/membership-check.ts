/**
 * Finds out which replicas of this node were removed without noticing. A replica that leaves its group is told nothing any
 * more, often not even that it leaves; and one that was made for a message may never be filled. So a node asks, for each of
 * its replicas that has reason to doubt: it has heard no leader for long, the shard map does not have it, or somebody
 * speaks to a newer one on this node.
 *
 * Invariant: a replica with data goes only by the word of one that has applied its removal, and so forgets nothing that it
 * has promised to a group that counts on it. Who says so is asked for it, on a connection that this node has dialled.
 */
import { QuorateError } from '../../base/errors.js';
import { ReplicaId } from '../../base/ids.js';
import type { NodeId, ShardId } from '../../base/ids.js';
import type { Logger } from '../../env/logger.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import { nodeOf, type ShardDescriptor } from '../../shard/descriptor.js';
import type { Departure } from '../replicas/shard-host.js';
import type { HostedShard } from '../replicas/hosted-shard.js';

export interface MembershipCheckOptions {
  readonly nodeId: NodeId;
  readonly logger: Logger;
  readonly shards: () => readonly HostedShard[];
  /** As the map has it. */
  readonly shardInMap: (shard: ShardId) => ShardDescriptor | undefined;
  readonly depart: (hosted: HostedShard, why: Departure) => void;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** A replica that hears no leader for so long has reason to doubt. */
  readonly silentTicksMax: number;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

type Group = Extract<PeerResponse, { readonly type: 'standing' }>['group'];

/** Ticks between two looks. */
const lookTicks = 20;
const askMsMax = 1000;
/** Of one look; the next ones ask for the rest. */
const asksMax = 8;
/** One that was never filled stays for so many times as long as makes it doubt: its leader may only be away. */
const unfilledPatience = 10;

/** What a replica on this node says to another node that asks about a third of its shard. */
export function standingOf(hosted: HostedShard | undefined, replica: ReplicaId): Group {
  if (hosted?.replica.standing !== 'member') return undefined;
  const { descriptor } = hosted.replica;
  return { isMember: nodeOf(descriptor, replica) !== undefined, nextReplica: descriptor.nextReplica };
}

export class MembershipCheck {
  readonly #options: MembershipCheckOptions;
  #ticks = 0;
  /** Who was asked last about the shard, so that each has its turn. */
  readonly #turns = new Map<ShardId, number>();
  readonly #asking = new Set<ShardId>();
  /** Somebody speaks to a newer replica of the shard on this node than this one. */
  readonly #superseded = new Map<ShardId, ReplicaId>();
  #closed = false;

  constructor(options: MembershipCheckOptions) {
    this.#options = options;
  }

  /** Somebody speaks to a replica of the shard that is newer than the one here. */
  superseded(shard: ShardId, replica: ReplicaId): void {
    this.#superseded.set(shard, replica);
  }

  tick(): void {
    if (this.#closed || ++this.#ticks % lookTicks !== 0) return;
    for (const hosted of this.#options.shards()) {
      if (this.#asking.size >= asksMax) return;
      if (!this.#asking.has(hosted.replica.shard) && this.#doubts(hosted)) void this.#ask(hosted);
    }
  }

  #doubts({ replica }: HostedShard): boolean {
    const { shard, replicaId, descriptor } = replica;
    if ((this.#superseded.get(shard) ?? 0) > replicaId) return true;
    if (replica.messenger.silentTicks >= this.#options.silentTicksMax) return true;
    const known = this.#options.shardInMap(shard);
    const isOlder = known !== undefined && known.epoch.membership > descriptor.epoch.membership;
    return isOlder && replica.standing === 'member' && nodeOf(known, replicaId) === undefined;
  }

  async #ask(hosted: HostedShard): Promise<void> {
    const { replica } = hosted;
    const { shard, replicaId } = replica;
    const node = this.#nextToAsk(replica.shard, replica.descriptor);
    if (node === undefined) return;
    this.#asking.add(shard);
    try {
      const response = await this.#options.request(node, { type: 'askStanding', shard, replica: replicaId }, askMsMax);
      if (response.type === 'standing' && !this.#closed) this.#told(hosted, node, response.group);
    } catch (error) {
      // It is asked again, or another one.
      if (!(error instanceof QuorateError)) this.#options.onFailure(error);
    } finally {
      this.#asking.delete(shard);
    }
  }

  /** In turn: those that the replica knows, and those that the map has. */
  #nextToAsk(shard: ShardId, descriptor: ShardDescriptor): NodeId | undefined {
    const { nodeId, shardInMap } = this.#options;
    const known = [...descriptor.replicas, ...(shardInMap(shard)?.replicas ?? [])].map(({ node }) => node);
    const nodes = [...new Set(known)].filter((node) => node !== nodeId);
    const turn = (this.#turns.get(shard) ?? -1) + 1;
    this.#turns.set(shard, turn);
    return nodes.length === 0 ? undefined : nodes[turn % nodes.length];
  }

  #told(hosted: HostedShard, by: NodeId, group: Group): void {
    const { shard, replicaId, standing, messenger } = hosted.replica;
    if (group === undefined || group.isMember) return;
    const { logger, depart, silentTicksMax } = this.#options;
    if (replicaId < group.nextReplica) {
      logger.info('a replica was told that it was removed', { shard, replica: replicaId, by });
      // Those between may have been removed, too. But one may be on this node by now.
      depart(hosted, { type: 'removed', nextReplica: ReplicaId(replicaId + 1) });
    } else if (standing === 'unfilled' && messenger.silentTicks >= unfilledPatience * silentTicksMax) {
      logger.info('a replica that nobody fills goes', { shard, replica: replicaId });
      depart(hosted, { type: 'unwanted' });
    }
  }

  /** Asks nothing any more. */
  close(): void {
    this.#closed = true;
  }
}
