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
  withConfiguration,
} from '../../src/shard/group-descriptor.js';

const ids = [1, 2, 3, 4].map((id) => ReplicaId(id));
const [one, two, three, four] = ids;
const shard = {
  shard: ShardId(5),
  start: utf8('a'),
  end: utf8('b'),
  epoch: { membership: 1, range: 9 },
  replicas: ids.map((replica) => ({ replica, node: NodeId(10 + replica) })),
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

describe('a group descriptor', () => {
  test('has the bytes of docs/formats/descriptor.md', () => {
    expect(toHex(encodeGroupDescriptor(joint))).toBe('02050161016202090401' + '0b03' + '020c01' + '030d0a' + '040e04');
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
    bytes[bytes.length - 1] = role;
    expect(() => decodeGroupDescriptor(bytes)).toThrow(DecodeError);
  });
});
