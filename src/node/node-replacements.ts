/**
 * Replaces a node that has lost its disk, or whose log is damaged (stages: placement/node-registry.ts). Any node takes the wish, the
 * placement leader begins it; whoever leads the placement group from then on carries it out, to its end, since it is part of that
 * group's state: the old replicas leave their groups, and new ones join them as soon as the node has come with another directory.
 */
import { QuorateError } from '../base/errors.js';
import { placementShardId, type NodeId, type ShardId } from '../base/ids.js';
import type { Clock } from '../env/clock.js';
import type { Logger } from '../env/logger.js';
import { inTime } from '../env/in-time.js';
import { pause } from '../env/pause.js';
import { hasReplicaOn, replacementSteps, type GroupMembers, type ReplacementStep } from '../placement/node-registry.js';
import type { PlacementState } from '../placement/placement-state.js';
import type { PeerRequest, PeerResponse } from '../rpc/peer-messages.js';
import type { PlacementGroup } from './placement-group.js';
import type { ReplicaChanges } from './replica-changes.js';

export interface NodeReplacementsOptions {
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly group: Pick<PlacementGroup, 'state' | 'replica' | 'leaderNode' | 'beginReplacement' | 'vacate' | 'rejoined'>;
  readonly changes: Pick<ReplicaChanges, 'changeMember'>;
  readonly isReachable: (node: NodeId) => boolean;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  /** A bug: the node must stop. */
  readonly onFailure: (error: unknown) => void;
}

/** Between two looks at what is to be done, in ticks. */
const lookTicks = 10;
/** Of one step; one that takes longer is taken again. */
const stepMsMax = 30_000;
/** Steps under way at a time: what each moves adds up. */
const stepsMax = 8;
/** Between two tries to begin, and between two looks whether the old replicas are gone. */
const retryMs = 200;
const beginMsMax = 5000;

export class NodeReplacements {
  readonly #options: NodeReplacementsOptions;
  readonly #underWay = new Set<string>();
  /** Groups that have said that they have no replica on a node that leaves, by its data directory. */
  readonly #left = new Map<string, Set<ShardId>>();
  readonly #closing = new AbortController();
  #ticks = 0;

  constructor(options: NodeReplacementsOptions) {
    this.#options = options;
  }

  // ---- an operator's wish

  /** See `AdminBackend.replaceNode`. */
  async replace(node: NodeId, timeoutMs: number): Promise<void> {
    const { clock, group } = this.#options;
    const untilMs = clock.monotonicMs() + timeoutMs;
    const wait = async (reason: string): Promise<void> => {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) throw late(node, timeoutMs, reason);
      await pause(clock, Math.min(retryMs, leftMs), this.#closing.signal);
    };
    const retired = await this.#begin(node, wait);
    const isOver = ({ nodes, retiredStores }: PlacementState): boolean =>
      retired === undefined || (retiredStores.has(retired) && nodes.get(node)?.storeId !== retired);
    while (!isOver(group.state)) await wait('its replicas are being removed');
  }

  async #begin(node: NodeId, wait: (reason: string) => Promise<void>): Promise<string | undefined> {
    const { clock } = this.#options;
    for (;;) {
      try {
        return await inTime(this.#askLeader(node), {
          clock,
          ms: beginMsMax,
          signal: this.#closing.signal,
          late: noAnswer,
        });
      } catch (thrown) {
        const error = QuorateError.from(thrown);
        if (!error.retryable) throw error;
        await wait(error.message);
      }
    }
  }

  async #askLeader(node: NodeId): Promise<string | undefined> {
    const { nodeId, group, request } = this.#options;
    const leader = group.leaderNode;
    if (leader === undefined) throw new QuorateError('NOT_LEADER', 'the placement group (shard 0) has no leader');
    if (leader === nodeId) return this.begin(node);
    const response = await request(leader, { type: 'replaceNode', node }, beginMsMax);
    if (response.type === 'failed') throw response.error;
    return response.type === 'replacementBegun' ? response.storeId : undefined;
  }

  /** By the placement leader. Resolves to the data directory that is out of use; rejects as `PlacementLeader.beginReplacement`. */
  begin(node: NodeId): Promise<string | undefined> {
    const { nodeId, group, isReachable, logger } = this.#options;
    logger.info('is asked to replace a node', { node });
    return group.beginReplacement(node, (other) => other === nodeId || isReachable(other));
  }

  // ---- by the placement leader

  tick(): void {
    const { group } = this.#options;
    if (++this.#ticks % lookTicks !== 0) return;
    if (group.replica?.isReadyLeader !== true || group.state.replacements.size === 0) {
      this.#left.clear();
      return;
    }
    const groups = [group.replica.descriptor, ...group.state.shardMap.shards];
    for (const { node } of group.state.replacements.values()) this.#look(node, groups);
  }

  #look(node: NodeId, groups: readonly GroupMembers[]): void {
    const { state } = this.#options.group;
    const replacement = state.replacements.get(node);
    if (replacement === undefined) return;
    for (const step of replacementSteps(state, replacement, groups, this.#leftBy(node))) {
      const key = step.type === 'vacate' ? `${node}` : `${node} ${step.shard}`;
      if (this.#underWay.has(key) || this.#underWay.size >= stepsMax) continue;
      this.#underWay.add(key);
      void this.#take(node, step).finally(() => this.#underWay.delete(key));
    }
  }

  #isInMap(shard: ShardId, node: NodeId): boolean {
    const { replica, state } = this.#options.group;
    const group = shard === placementShardId ? replica?.descriptor : state.shardMap.byId(shard);
    return group !== undefined && hasReplicaOn(group, node);
  }

  #leftBy(node: NodeId): Set<ShardId> {
    const storeId = this.#options.group.state.nodes.get(node)?.storeId ?? '';
    let left = this.#left.get(storeId);
    if (left === undefined) this.#left.set(storeId, (left = new Set()));
    return left;
  }

  /** A step that fails is due again with the next look. */
  async #take(node: NodeId, step: ReplacementStep): Promise<void> {
    const { group, changes, logger, onFailure } = this.#options;
    try {
      switch (step.type) {
        case 'leave': {
          const left = this.#leftBy(node);
          await changes.changeMember({ shard: step.shard, node, votes: false }, stepMsMax);
          left.add(step.shard);
          return;
        }
        case 'vacate':
          await group.vacate(node);
          logger.info('a node that is replaced has no replicas any more', { node });
          return;
        case 'join':
          await changes.changeMember({ shard: step.shard, node, votes: true }, stepMsMax);
          // While the map is behind, the shard stays among those that the node is to have.
          if (!this.#isInMap(step.shard, node)) return;
          await group.rejoined(node, step.shard);
          logger.info('a node that was replaced votes again', { node, shard: step.shard });
          return;
      }
    } catch (error) {
      if (!(error instanceof QuorateError)) onFailure(error);
      else logger.debug('a step to replace a node failed', { node, step: step.type, error: error.message });
    }
  }

  /** Ends what waits. */
  close(): void {
    this.#closing.abort(new QuorateError('NODE_STOPPING', 'the node is stopping', { outcome: 'unknown' }));
  }
}

function late(node: NodeId, timeoutMs: number, reason: string): QuorateError {
  const message = `node ${node} is not replaced after ${timeoutMs} ms: ${reason}`;
  return new QuorateError('DEADLINE_EXCEEDED', message, { outcome: 'unknown' });
}

function noAnswer(): QuorateError {
  return new QuorateError('DEADLINE_EXCEEDED', 'the placement leader does not answer', { retryable: true });
}
