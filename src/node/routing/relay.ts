/**
 * Help for a node that has no way to a leader, as where one line is cut: it asks another node, which hands its request
 * on to the leader (docs/protocol/routing.md). Here is what both sides decide.
 *
 * Invariants
 * - Only what was asked of this node with `relay` is handed on, and without it: one hop, so nothing goes in circles.
 * - A question for timestamps that is handed on has the voucher of the node that hands it on, as of then. It asks in its own
 *   name, later than the one that it asks for: so what it gets was allocated after both.
 */
import type { NodeId } from '../../base/ids.js';
import type { PeerRequest, RequestFrame } from '../../rpc/peer-messages.js';
import type { ShardMap } from '../../placement/shard-map.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import type { PlacementGroup } from '../placement-group.js';

/** What a node that asks for timestamps knows. */
export interface WayOptions {
  /** Of the placement group, as far as it is known; never this node. */
  readonly leader: NodeId | undefined;
  /** The leader was asked just now, in vain. */
  readonly isAvoided: boolean;
  /** Nodes to which a connection is up. */
  readonly reachable: readonly NodeId[];
  /** The relay that answered last with what it was asked for. */
  readonly helped: NodeId | undefined;
  /** Relays that have failed since one of them helped. */
  readonly relaysFailed: number;
}

export type Way =
  | { readonly type: 'direct'; readonly node: NodeId }
  | { readonly type: 'relay'; readonly node: NodeId }
  | { readonly type: 'none' };

/**
 * The leader itself wherever that can be; else one relay after the other, beginning with the one that helped last. Last of them is who
 * was taken for the leader: it may know its successor.
 */
export function wayToLeader({ leader, isAvoided, reachable, helped, relaysFailed }: WayOptions): Way {
  if (leader !== undefined && !isAvoided && reachable.includes(leader)) return { type: 'direct', node: leader };
  const rank = (node: NodeId): number => (node === helped ? 0 : node === leader ? 2 : 1);
  const relays = [...reachable].sort((a, b) => rank(a) - rank(b) || a - b);
  if (relays.length > 0) return { type: 'relay', node: relays[relaysFailed % relays.length] };
  return leader === undefined ? { type: 'none' } : { type: 'direct', node: leader };
}

/** What a node that is asked knows of leaders. */
export interface KnownLeaders {
  readonly nodeId: NodeId;
  readonly placementLeader: Pick<PlacementGroup, 'leaderNode' | 'voucher'>;
  readonly shardMap: () => Pick<ShardMap, 'byId'>;
  readonly leaderOf: (shard: ShardDescriptor) => NodeId | undefined;
}

export interface HandedOn {
  readonly node: NodeId;
  readonly body: PeerRequest;
}

/** To whom the request of `from` goes on. Undefined where it is answered here: also where no leader is known. */
export function handedOn(
  from: NodeId,
  { relay, body }: Pick<RequestFrame, 'relay' | 'body'>,
  known: KnownLeaders,
): HandedOn | undefined {
  if (!relay) return undefined;
  const node = leaderFor(body, known);
  if (node === undefined || node === known.nodeId || node === from) return undefined;
  return { node, body: body.type === 'timestamps' ? { ...body, voucher: known.placementLeader.voucher } : body };
}

/** Of the requests that mean the same whoever sends them. */
function leaderFor(body: PeerRequest, { placementLeader, shardMap, leaderOf }: KnownLeaders): NodeId | undefined {
  if (body.type === 'timestamps') return placementLeader.leaderNode;
  if (body.type !== 'execute' && body.type !== 'scanPage') return undefined;
  const shard = shardMap().byId(body.shard);
  return shard === undefined ? undefined : leaderOf(shard);
}
