import { assert } from '../base/assert.js';
import type { ReplicaId } from '../base/ids.js';
import { createConfiguration } from '../raft/config.js';
import { Raft } from '../raft/raft.js';
import type { ReplicaParts } from './replica-host.js';

/** The core of a replica, as log and state machine left it. */
export function openRaft({ host, descriptor, log, machine }: ReplicaParts, self: ReplicaId): Raft {
  const { shard, replicas } = descriptor;
  assert(machine.appliedIndex <= log.lastIndex, `shard ${shard} has applied entries that its log does not have`);
  return new Raft({
    self,
    configuration: createConfiguration({ voters: replicas.map(({ replica }) => replica) }),
    hardState: log.hardState,
    log,
    appliedIndex: machine.appliedIndex,
    ...host.timing,
    appendBytesMax: host.limits.appendBytesMax,
    appendsInFlightMax: host.limits.appendsInFlightMax,
    uncommittedBytesMax: host.limits.uncommittedBytesMax,
    lease: undefined,
    random: host.random.split(`raft-${shard}`),
  });
}
