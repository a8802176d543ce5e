/** Rules between settings that are each valid alone. Reports every broken one, by the path of the setting to change. */
import { AssertionError } from '../../base/assert.js';
import { checkLimits } from '../../base/limits.js';
import type { ParsedConfig } from './schema.js';

export interface BrokenRelation {
  readonly path: string;
  readonly message: string;
}

export function brokenRelations(config: ParsedConfig): BrokenRelation[] {
  return [
    ...clusterRelations(config),
    ...listenRelations(config),
    ...timingRelations(config),
    ...limitRelations(config),
  ];
}

function clusterRelations({ cluster, nodeId }: ParsedConfig): BrokenRelation[] {
  const broken: BrokenRelation[] = [];
  const idSeen = new Map<number, number>();
  const addressSeen = new Map<string, string>();
  cluster.nodes.forEach((node, position) => {
    const first = idSeen.get(node.id);
    if (first === undefined) idSeen.set(node.id, position);
    else
      broken.push({
        path: `cluster.nodes[${position}].id`,
        message: `${node.id} is also the id of cluster.nodes[${first}]`,
      });
    for (const field of ['clientAddress', 'peerAddress'] as const) {
      const path = `cluster.nodes[${position}].${field}`;
      const other = addressSeen.get(node[field]);
      if (other === undefined) addressSeen.set(node[field], path);
      else broken.push({ path, message: `${node[field]} is also ${other}` });
    }
  });
  if (!idSeen.has(nodeId)) {
    const ids = [...idSeen.keys()].sort((a, b) => a - b).join(', ');
    broken.push({ path: 'nodeId', message: `${nodeId} is not in cluster.nodes, which has ${ids}` });
  }
  const { replicationFactor, nodes } = cluster;
  if (replicationFactor > nodes.length) {
    const message = `${replicationFactor} replicas need as many nodes, and cluster.nodes has ${nodes.length}`;
    broken.push({ path: 'cluster.replicationFactor', message });
  }
  if (replicationFactor % 2 === 0) {
    const fewer = replicationFactor - 1;
    const message = `must be odd: ${replicationFactor} replicas survive the loss of no more nodes than ${fewer}`;
    broken.push({ path: 'cluster.replicationFactor', message });
  }
  return broken;
}

function listenRelations(config: ParsedConfig): BrokenRelation[] {
  const { clientListen, peerListen } = config;
  if (clientListen === undefined || clientListen !== peerListen) return [];
  return [{ path: 'peerListen', message: `${peerListen} is also clientListen` }];
}

function timingRelations({ raft, requestTimeoutMsDefault, requestTimeoutMsMax }: ParsedConfig): BrokenRelation[] {
  const broken: BrokenRelation[] = [];
  if (raft.heartbeatTicks >= raft.electionTicksMin) {
    const message = `${raft.heartbeatTicks} must be below raft.electionTicksMin (${raft.electionTicksMin})`;
    broken.push({ path: 'raft.heartbeatTicks', message: `${message}, or followers give up on a live leader` });
  }
  if (raft.electionTicksMin >= raft.electionTicksMax) {
    const message = `${raft.electionTicksMin} must be below raft.electionTicksMax (${raft.electionTicksMax})`;
    broken.push({ path: 'raft.electionTicksMin', message: `${message}, or candidates split the vote again and again` });
  }
  if (requestTimeoutMsDefault > requestTimeoutMsMax) {
    const message = `${requestTimeoutMsDefault} must be at most requestTimeoutMsMax (${requestTimeoutMsMax})`;
    broken.push({ path: 'requestTimeoutMsDefault', message });
  }
  return broken;
}

/** `checkLimits` stops at the first; its messages name both sides. */
function limitRelations({ limits }: ParsedConfig): BrokenRelation[] {
  try {
    checkLimits(limits);
    return [];
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    return [{ path: 'limits', message: error.message }];
  }
}
