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

/** The nodes whose live replicas have stored more than the leader has: their disks take what its own does not. */
export function nodesStoringMore(status: RaftStatus, descriptor: ShardDescriptor): NodeId[] {
  const nodes: NodeId[] = [];
  for (const { replica, matchIndex, isAlive } of status.followers) {
    const node = isAlive && matchIndex > status.stableIndex ? nodeOf(descriptor, replica) : undefined;
    if (node !== undefined) nodes.push(node);
  }
  return nodes;
}

/** The live voter that has most of the log, of those that may lead. */
export function bestFollower(
  { followers, configuration }: RaftStatus,
  mayLead: (replica: ReplicaId) => boolean,
): ReplicaId | undefined {
  const able = followers.filter(
    ({ isAlive, replica }) => isAlive && isVoter(configuration, replica) && mayLead(replica),
  );
  able.sort((a, b) => b.matchIndex - a.matchIndex);
  return able.at(0)?.replica;
}
