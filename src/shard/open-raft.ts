import { assert } from '../base/assert.js';
import { leaseDurationMs } from '../raft/lease.js';
import { Raft } from '../raft/raft.js';
import type { ReplicaParts } from './replica-host.js';

/**
 * Nobody waits for followers to apply. A whole tick at least passes without an append: where entries come all the time, one
 * of them takes the commit index along.
 */
const commitNoticeTicks = 2;

/** The core of a replica, as log and state machine left it. */
export function openRaft({ host, descriptor, replicaId, log, machine }: ReplicaParts): Raft {
  const { shard, configuration } = descriptor;
  assert(machine.appliedIndex <= log.lastIndex, `shard ${shard} has applied entries that its log does not have`);
  const monotonicMs = (): number => host.clock.monotonicMs();
  return new Raft({
    self: replicaId,
    configuration,
    hardState: log.hardState,
    log,
    appliedIndex: machine.appliedIndex,
    ...host.timing,
    appendBytesMax: host.limits.appendBytesMax,
    appendsInFlightMax: host.limits.appendsInFlightMax,
    commitNoticeTicks,
    uncommittedBytesMax: host.limits.uncommittedBytesMax,
    lease: host.timing.leaderLease ? { durationMs: leaseDurationMs(host.timing), monotonicMs } : undefined,
    random: host.random.split(`raft-${shard}`),
  });
}
