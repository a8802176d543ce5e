/**
 * What a shard's own state says of it: beside what the shard map has, which of its replicas vote, and which ids were given
 * out. It changes with the applied index, in one batch, so the configuration that acts after a restart is that of the last
 * applied entry.
 *
 * Invariant: a replica id is given out once (pitfall 17). Who has an id below `nextReplica` and is not listed was removed.
 */
import { assert } from '../base/assert.js';
import { copyBytes, emptyBytes } from '../base/bytes.js';
import { ByteReader, ByteWriter, DecodeError } from '../base/coding.js';
import { NodeId, ReplicaId, ShardId } from '../base/ids.js';
import {
  type Configuration,
  configurationFault,
  createConfiguration,
  isJoint,
  isMember,
  membersOf,
} from '../raft/config.js';
import { boundTo, decodeDescriptor, type ReplicaDescriptor, type ShardDescriptor } from './descriptor.js';

export interface GroupDescriptor extends ShardDescriptor {
  /** Of exactly these replicas. A joint one is left by whoever leads. */
  readonly configuration: Configuration;
  /** Id of the replica that is added next; above every one that there ever was. */
  readonly nextReplica: ReplicaId;
}

/** As a shard begins: all its replicas vote. */
export function newGroup(descriptor: ShardDescriptor): GroupDescriptor {
  const ids = idsOf(descriptor);
  const configuration = createConfiguration({ voters: ids });
  return { ...descriptor, configuration, nextReplica: ReplicaId(Math.max(0, ...ids) + 1) };
}

/** As a replica knows its group that was made for a message: it has no data and does not know who else belongs to it. */
export function unknownGroup(shard: ShardId): GroupDescriptor {
  const epoch = { membership: 0, range: 0 };
  return newGroup({ shard, start: emptyBytes, end: emptyBytes, epoch, replicas: [] });
}

/** The next descriptor, in which `configuration` acts: without the replicas that it does not have. */
export function withConfiguration(descriptor: GroupDescriptor, configuration: Configuration): GroupDescriptor {
  const { membership, range } = descriptor.epoch;
  const replicas = descriptor.replicas.filter(({ replica }) => isMember(configuration, replica));
  return checked({ ...descriptor, epoch: { membership: membership + 1, range }, replicas, configuration });
}

/** A node, with the data directory that is in use there. */
export interface NodeStore {
  readonly node: NodeId;
  readonly storeId: string;
}

/** The next descriptor, with new replicas on `nodes`, which have none: learners, until they have caught up. */
export function withReplicasOn(descriptor: GroupDescriptor, nodes: readonly NodeStore[]): GroupDescriptor {
  const { epoch, replicas, configuration, nextReplica } = descriptor;
  const added = nodes.map(({ node, storeId }, i) => ({ replica: ReplicaId(nextReplica + i), node, storeId }));
  const learners = [...configuration.learners, ...added.map(({ replica }) => replica)];
  return checked({
    ...descriptor,
    epoch: { membership: epoch.membership + 1, range: epoch.range },
    replicas: [...replicas, ...added],
    configuration: createConfiguration({ ...configuration, learners }),
    nextReplica: ReplicaId(nextReplica + nodes.length),
  });
}

/** Whether the replica belonged to the group once, and does not any more. */
export function wasRemoved(descriptor: GroupDescriptor, replica: ReplicaId): boolean {
  return replica < descriptor.nextReplica && descriptor.replicas.every((member) => member.replica !== replica);
}

function checked(next: GroupDescriptor): GroupDescriptor {
  const fault = groupFault(next);
  assert(fault === undefined, fault ?? '');
  return next;
}

function idsOf({ replicas }: ShardDescriptor): ReplicaId[] {
  return replicas.map(({ replica }) => replica);
}

function groupFault(descriptor: GroupDescriptor): string | undefined {
  const { configuration, replicas, nextReplica } = descriptor;
  const fault = configurationFault(configuration);
  if (fault !== undefined) return fault;
  if (isJoint(configuration) !== configuration.autoLeave) return 'a joint configuration that stays';
  const members = membersOf(configuration);
  const ids = idsOf(descriptor);
  const last = ids.at(-1);
  if (last !== undefined && last >= nextReplica) return `replica ${last}, when the next is to be ${nextReplica}`;
  if (new Set(replicas.map(({ node }) => node)).size < replicas.length) return 'a node with two replicas';
  const same = members.length === ids.length && members.every((id, i) => id === ids[i]);
  return same ? undefined : `a configuration of replicas ${members.join(', ')} with nodes for ${ids.join(', ')}`;
}

const formatVersion = 5;
/** As it was before replicas were bound to data directories: without `storeId`. */
const unboundVersion = 3;
/** As it was before replicas could be removed: without `nextReplica`. */
const fixedMembersVersion = 2;
/** What a replica does. In a joint configuration a voter that leaves has `votesStill`, and may learn `afterwards`. */
const roleBits = { votes: 1, votesStill: 2, learns: 4, afterwards: 8 } as const;
const roleMax = 15;

/** Byte-exact form: docs/formats/descriptor.md. */
export function encodeGroupDescriptor(descriptor: GroupDescriptor): Uint8Array {
  const { configuration, shard, start, end, epoch, replicas, nextReplica } = descriptor;
  const writer = new ByteWriter().u8(formatVersion).varint(shard).bytes(start).bytes(end);
  writer.varint(epoch.membership).varint(epoch.range).varint(nextReplica).varint(replicas.length);
  for (const { replica, node, storeId = '' } of replicas) {
    writer.varint(replica).varint(node).u8(roleOf(configuration, replica)).text(storeId);
  }
  return writer.finish();
}

function roleOf({ voters, votersOutgoing, learners, learnersNext }: Configuration, replica: ReplicaId): number {
  return (
    (voters.includes(replica) ? roleBits.votes : 0) |
    (votersOutgoing.includes(replica) ? roleBits.votesStill : 0) |
    (learners.includes(replica) ? roleBits.learns : 0) |
    (learnersNext.includes(replica) ? roleBits.afterwards : 0)
  );
}

/** Takes what a new shard has, too: a descriptor as in the shard map. Throws DecodeError. */
export function decodeGroupDescriptor(bytes: Uint8Array): GroupDescriptor {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  const isOfGroup = format === formatVersion || format === unboundVersion || format === fixedMembersVersion;
  if (!isOfGroup) return newGroup(decodeDescriptor(bytes));
  const shard = ShardId(reader.varint());
  const start = copyBytes(reader.bytes());
  const end = copyBytes(reader.bytes());
  const epoch = { membership: reader.varint(), range: reader.varint() };
  const given = format === fixedMembersVersion ? undefined : ReplicaId(reader.varint());
  const count = reader.varint();
  const replicas: ReplicaDescriptor[] = [];
  const roles: number[] = [];
  for (let i = 0; i < count; i++) {
    const replica = { replica: ReplicaId(reader.varint()), node: NodeId(reader.varint()) };
    const role = reader.u8();
    if (role > roleMax) throw new DecodeError(`a replica of the unknown role ${role}`);
    roles.push(role);
    replicas.push(format === formatVersion ? boundTo(replica, reader.text()) : replica);
  }
  reader.end();
  const having = (bit: number): ReplicaId[] =>
    replicas.filter((_, i) => (roles[i] & bit) !== 0).map(({ replica }) => replica);
  const votersOutgoing = having(roleBits.votesStill);
  const configuration: Configuration = {
    voters: having(roleBits.votes),
    votersOutgoing,
    learners: having(roleBits.learns),
    learnersNext: having(roleBits.afterwards),
    autoLeave: votersOutgoing.length > 0,
  };
  const nextReplica = given ?? ReplicaId((replicas.at(-1)?.replica ?? 0) + 1);
  const descriptor = { shard, start, end, epoch, replicas, configuration, nextReplica };
  const fault = groupFault(descriptor);
  if (fault !== undefined) throw new DecodeError(`shard ${shard}: ${fault}`);
  return descriptor;
}
