import { describe, expect, test } from 'vitest';
import { toHex, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { NodeId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { createConfiguration } from '../../src/raft/config.js';
import { encodeDescriptor } from '../../src/shard/descriptor.js';
import {
  decodeGroupDescriptor,
  encodeGroupDescriptor,
  newGroup,
  wasRemoved,
  withConfiguration,
  withReplicasOn,
} from '../../src/shard/group-descriptor.js';

const ids = [1, 2, 3, 4].map((id) => ReplicaId(id));
const [one, two, three, four] = ids;
const shard = {
  shard: ShardId(5),
  start: utf8('a'),
  end: utf8('b'),
  epoch: { membership: 1, range: 9 },
  replicas: ids.map((replica) => ({ replica, node: NodeId(10 + replica), ...(replica === 4 ? { storeId: 'z' } : {}) })),
};
const joint = withConfiguration(
  newGroup(shard),
  createConfiguration({
    voters: [one, two],
    votersOutgoing: [one, three],
    learners: [four],
    learnersNext: [three],
    autoLeave: true,
  }),
);

/** The replicas of `joint`, as they were written before they were bound to data directories. */
const roles = '010b03' + '020c01' + '030d0a' + '040e04';
const unbound = { ...joint, replicas: joint.replicas.map(({ replica, node }) => ({ replica, node })) };

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

describe('a group descriptor', () => {
  test('has the bytes of docs/formats/descriptor.md', () => {
    expect(toHex(encodeGroupDescriptor(joint))).toBe(
      '0505016101620209' + '0504' + '010b0300' + '020c0100' + '030d0a00' + '040e04017a',
    );
  });

  test.each([
    ['of a new shard', newGroup(shard)],
    ['that is joint', joint],
  ])('%s comes back as it was', (_, descriptor) => {
    expect(decodeGroupDescriptor(encodeGroupDescriptor(descriptor))).toEqual(descriptor);
  });

  test('of a shard as the map has it: all vote', () => {
    expect(decodeGroupDescriptor(encodeDescriptor(shard))).toEqual(newGroup(shard));
    expect(newGroup(shard).configuration.voters).toEqual(ids);
  });

  test('of the format before, without the id of the next replica: nobody was ever removed', () => {
    expect(decodeGroupDescriptor(bytesOf('0205016101620209' + '04' + roles))).toEqual(unbound);
  });

  test('of the format before, without data directories', () => {
    expect(decodeGroupDescriptor(bytesOf('0305016101620209' + '0504' + roles))).toEqual(unbound);
  });

  test('gives a new replica an id that no other had, also after one was removed', () => {
    const without = withConfiguration(newGroup(shard), createConfiguration({ voters: [one, two, three] }));
    expect(without.replicas.map(({ replica }) => replica)).toEqual([one, two, three]);
    const again = withReplicasOn(without, [
      { node: NodeId(14), storeId: 'a' },
      { node: NodeId(20), storeId: 'b' },
    ]);
    expect(again.replicas.slice(3)).toEqual([
      { replica: 5, node: 14, storeId: 'a' },
      { replica: 6, node: 20, storeId: 'b' },
    ]);
    expect(again.configuration).toMatchObject({ voters: [one, two, three], learners: [5, 6] });
    expect(again.nextReplica).toBe(7);
    expect([1, 4, 5, 7].map((id) => wasRemoved(again, ReplicaId(id)))).toEqual([false, true, false, false]);
    expect(decodeGroupDescriptor(encodeGroupDescriptor(again))).toEqual(again);
  });

  test('counts its changes in the membership epoch', () => {
    expect(joint.epoch).toEqual({ membership: 2, range: 9 });
  });

  test.each([
    ['a role that is none', 16],
    ['no role', 0],
    ['a voter that learns', 5],
    ['one that learns afterwards and never voted', 8],
  ])('with %s is damage', (_, role) => {
    const bytes = encodeGroupDescriptor(joint);
    bytes[bytes.length - 3] = role;
    expect(() => decodeGroupDescriptor(bytes)).toThrow(DecodeError);
  });
});
