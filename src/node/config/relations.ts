/** Rules between settings that are each valid alone. Reports every broken one, by the path of the setting to change. */
import { brokenLimits } from '../../base/limits.js';
import type { ParsedConfig } from './schema.js';

export interface BrokenRelation {
  readonly path: string;
  readonly message: string;
  /** Every setting that the rule is about: where one of them is not valid alone, the rule says nothing. */
  readonly settings: readonly string[];
}

export function brokenRelations(config: ParsedConfig): BrokenRelation[] {
  return [
    ...clusterRelations(config),
    ...listenRelations(config),
    ...timingRelations(config),
    ...limitRelations(config),
  ];
}

function clusterRelations({ cluster, nodeId, clientAddress, peerAddress }: ParsedConfig): BrokenRelation[] {
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
        settings: ['cluster.nodes'],
      });
    for (const field of ['clientAddress', 'peerAddress'] as const) {
      const path = `cluster.nodes[${position}].${field}`;
      const other = addressSeen.get(node[field]);
      if (other === undefined) addressSeen.set(node[field], path);
      else broken.push({ path, message: `${node[field]} is also ${other}`, settings: ['cluster.nodes'] });
    }
  });
  if (!idSeen.has(nodeId) && (clientAddress === undefined || peerAddress === undefined)) {
    const ids = [...idSeen.keys()].sort((a, b) => a - b).join(', ');
    const message =
      `${nodeId} is not in cluster.nodes, which has ${ids}; ` +
      'a node that joins the cluster later needs clientAddress and peerAddress';
    broken.push({ path: 'nodeId', message, settings: ['nodeId', 'cluster.nodes', 'clientAddress', 'peerAddress'] });
  }
  const { replicationFactor, nodes } = cluster;
  const path = 'cluster.replicationFactor';
  if (replicationFactor > nodes.length) {
    const message = `${replicationFactor} replicas need as many nodes, and cluster.nodes has ${nodes.length}`;
    broken.push({ path, message, settings: [path, 'cluster.nodes'] });
  }
  if (replicationFactor % 2 === 0) {
    const fewer = replicationFactor - 1;
    const message = `must be odd: ${replicationFactor} replicas survive the loss of no more nodes than ${fewer}`;
    broken.push({ path, message, settings: [path] });
  }
  return broken;
}

function listenRelations(config: ParsedConfig): BrokenRelation[] {
  const { clientListen, peerListen } = config;
  if (clientListen === undefined || clientListen !== peerListen) return [];
  const message = `${peerListen} is also clientListen`;
  return [{ path: 'peerListen', message, settings: ['peerListen', 'clientListen'] }];
}

/** A timer may come a millisecond early; with shorter ticks that would be more than clocks may drift apart. */
const leaseTickMsMin = 20;

function timingRelations({
  raft,
  limits,
  requestTimeoutMsDefault,
  requestTimeoutMsMax,
}: ParsedConfig): BrokenRelation[] {
  const broken: BrokenRelation[] = [];
  if (raft.heartbeatTicks >= raft.electionTicksMin) {
    const message = `${raft.heartbeatTicks} must be below raft.electionTicksMin (${raft.electionTicksMin}), or followers give up on a live leader`;
    const settings = ['raft.heartbeatTicks', 'raft.electionTicksMin'];
    broken.push({ path: settings[0], message, settings });
  }
  if (raft.electionTicksMin >= raft.electionTicksMax) {
    const message = `${raft.electionTicksMin} must be below raft.electionTicksMax (${raft.electionTicksMax}), or candidates split the vote again and again`;
    const settings = ['raft.electionTicksMin', 'raft.electionTicksMax'];
    broken.push({ path: settings[0], message, settings });
  }
  if (raft.leaderLease && raft.tickMs < leaseTickMsMin) {
    const message = `${raft.tickMs} must be at least ${leaseTickMsMin} with raft.leaderLease: timers are not more exact`;
    broken.push({ path: 'raft.tickMs', message, settings: ['raft.tickMs', 'raft.leaderLease'] });
  }
  if (requestTimeoutMsDefault > requestTimeoutMsMax) {
    const message = `${requestTimeoutMsDefault} must be at most requestTimeoutMsMax (${requestTimeoutMsMax})`;
    const settings = ['requestTimeoutMsDefault', 'requestTimeoutMsMax'];
    broken.push({ path: settings[0], message, settings });
  }
  const { requestIdRetentionMs } = limits;
  // Timestamps, by which requests are forgotten, run at most twice as fast as clocks.
  if (requestTimeoutMsMax * 2 >= requestIdRetentionMs) {
    const message = `${requestTimeoutMsMax} must be below half of limits.requestIdRetentionMs (${requestIdRetentionMs}), or a write that is tried again may be done again`;
    const settings = ['requestTimeoutMsMax', 'limits.requestIdRetentionMs'];
    broken.push({ path: settings[0], message, settings });
  }
  return broken;
}

function limitRelations({ limits }: ParsedConfig): BrokenRelation[] {
  return brokenLimits(limits).map(({ limits: names, message }) => ({
    path: 'limits',
    message,
    settings: names.map((name) => `limits.${name}`),
  }));
}
