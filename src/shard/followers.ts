/** What the core of a leader knows of its followers, as decisions need it. Pure; of other replicas nothing is known. */
import type { LogIndex, NodeId, ReplicaId } from '../base/ids.js';
import { isCaughtUp } from '../raft/caught-up.js';
import { isVoter } from '../raft/config.js';
import type { RaftStatus } from '../raft/status.js';
import { nodeOf } from './descriptor.js';
import type { ShardDescriptor } from './descriptor.js';

/** Whether `replica` is a caught up follower that votes, and so may lead: see `isCaughtUp`. */
export function isFollowerCaughtUp(status: RaftStatus, replica: ReplicaId, entriesMax: number): boolean {
  if (!isVoter(status.configuration, replica)) return false;
  const follower = status.followers.find((candidate) => candidate.replica === replica);
  return follower !== undefined && isCaughtUp(follower, status.commitIndex, entriesMax);
}

/** The nodes whose replicas lack entries up to `upTo`. */
export function nodesLacking(status: RaftStatus, descriptor: ShardDescriptor, upTo: LogIndex): NodeId[] {
  const nodes: NodeId[] = [];
  for (const { replica, matchIndex } of status.followers) {
    const node = matchIndex < upTo ? nodeOf(descriptor, replica) : undefined;
    if (node !== undefined) nodes.push(node);
  }
  return nodes;
}
