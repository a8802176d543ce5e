/** Asks the placement leader, wherever it is: here, or by a request to its node. */
import { QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import type { ShardDescriptor } from '../../shard/descriptor.js';
import type { PlacementGroup } from '../placement-group.js';

export interface AskingNode<Group extends Pick<PlacementGroup, 'leaderNode'>> {
  readonly nodeId: NodeId;
  readonly group: Group;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
}

const reportMsMax = 2000;

/** Rejects with NOT_LEADER where no leader is known, and with what went wrong where it was asked. */
export async function askPlacementLeader(
  { nodeId, group, request }: AskingNode<Pick<PlacementGroup, 'leaderNode'>>,
  body: PeerRequest,
  timeoutMs: number,
  here: () => Promise<PeerResponse>,
): Promise<PeerResponse> {
  const leader = group.leaderNode;
  if (leader === undefined)
    throw new QuorateError('NOT_LEADER', `node ${nodeId} knows no leader of the placement group (shard 0)`);
  if (leader === nodeId) return here();
  const response = await request(leader, body, timeoutMs);
  if (response.type === 'failed') throw response.error;
  return response;
}

/** Tells it the members of a shard: see {@link PlacementGroup.updateShard}. Rejects as {@link askPlacementLeader}. */
export async function reportMembers(
  node: AskingNode<Pick<PlacementGroup, 'leaderNode' | 'updateShard'>>,
  descriptor: ShardDescriptor,
  isWanted: boolean,
): Promise<void> {
  await askPlacementLeader(node, { type: 'reportShard', descriptor, isWanted }, reportMsMax, async () => {
    await node.group.updateShard(descriptor, isWanted);
    return { type: 'shardTaken' };
  });
}
