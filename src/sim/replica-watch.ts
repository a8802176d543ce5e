/** Sees what the replicas of a cluster do, and holds each step against the one before. */
import type { LogIndex, ReplicaId, ShardId } from '../base/ids.js';
import type { Entry, RaftSnapshot, Ready } from '../raft/types.js';
import type { EntryEffect } from '../shard/entry-effect.js';
import { isGroupChange } from '../shard/entry-format.js';
import type { ReplicaObserver } from '../shard/replica-host.js';
import type { Coverage } from './coverage.js';
import type { RaftChecks } from './raft-checks.js';
import type { StateChecks } from './state-checks.js';
import type { WatchedReplica } from './watched-replica.js';

/** What is told of all replicas of a cluster. */
export interface ReplicaWatch {
  readonly raftChecks: RaftChecks;
  readonly stateChecks: StateChecks;
  readonly coverage: Coverage;
}

export interface WatchedProcess {
  /** Of its machine. */
  readonly disk: object;
  /** A Raft snapshot took the place of what it had of the shard. */
  readonly onInstalled: (shard: ShardId) => void;
}

/** For one process of a node: with it goes what its replicas had not synced. */
export function watchReplicas(
  { raftChecks: checks, stateChecks, coverage }: ReplicaWatch,
  { disk, onInstalled }: WatchedProcess,
): ReplicaObserver {
  const replicas = new Map<ShardId, WatchedReplica>();
  const watched = (shard: ShardId, replica: ReplicaId): WatchedReplica => {
    let found = replicas.get(shard);
    if (found?.replica !== replica) {
      found = {
        shard,
        replica,
        disk,
        last: undefined,
        hardState: undefined,
        appliedIndex: undefined,
        changes: [],
        configuration: undefined,
      };
      replicas.set(shard, found);
    }
    return found;
  };
  return {
    onReady(shard: ShardId, replica: ReplicaId, ready: Ready): void {
      const seen = watched(shard, replica);
      checks.ready(seen, ready);
      coverage.ready(seen, ready);
      seen.changes = changesOf(seen, ready);
      seen.hardState = ready.hardState ?? seen.hardState;
      const { syncPoint, softState, commitIndex, messages } = ready;
      const fellQuiet = messages.some((message) => message.type === 'heartbeat' && message.quiesce);
      seen.last = {
        term: syncPoint.term,
        commitIndex,
        lastIndex: syncPoint.lastIndex,
        lastTerm: syncPoint.lastTerm,
        isLeader: softState === undefined ? (seen.last?.isLeader ?? false) : softState.role === 'leader',
        isQuiet: fellQuiet || ((seen.last?.isQuiet ?? false) && messages.length === 0),
      };
    },
    onSynced(shard: ShardId, replica: ReplicaId, ready: Ready): void {
      checks.synced(watched(shard, replica), ready);
    },
    onApplied(shard: ShardId, replica: ReplicaId, entry: Entry, effect: EntryEffect): void {
      const seen = watched(shard, replica);
      checks.applied(seen, entry, effect);
      stateChecks.applied(shard, entry, effect);
      coverage.applied(seen, effect);
      seen.changes = seen.changes.filter((index) => index > entry.index);
      if (effect.type === 'changeGroup') seen.configuration = effect.descriptor.configuration;
    },
    onInstalled(shard: ShardId, replica: ReplicaId, snapshot: RaftSnapshot): void {
      const seen = watched(shard, replica);
      checks.installed(seen, snapshot);
      coverage.installed();
      seen.configuration = snapshot.configuration;
      const { index, term } = snapshot;
      if (seen.last !== undefined) seen.last = { ...seen.last, commitIndex: index, lastIndex: index, lastTerm: term };
      onInstalled(shard);
    },
  };
}

/** With those that came, and without those that they replace. */
function changesOf({ changes }: WatchedReplica, { entries }: Ready): readonly LogIndex[] {
  if (entries.length === 0) return changes;
  const news = entries.filter(({ data }) => isGroupChange(data));
  return [...changes.filter((index) => index < entries[0].index), ...news.map(({ index }) => index)];
}
