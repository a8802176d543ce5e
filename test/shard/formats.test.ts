import { describe, expect, test } from 'vitest';
import { toHex, utf8 } from '../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, ShardId } from '../../src/base/ids.js';
import { containsKey, decodeDescriptor, encodeDescriptor, nodeOf, replicaOn } from '../../src/shard/descriptor.js';
import { encodeGroupDescriptor, newGroup } from '../../src/shard/group-descriptor.js';
import type { ShardDescriptor } from '../../src/shard/descriptor.js';
import { decodeEntry, encodeEntry } from '../../src/shard/entry-format.js';

const descriptor: ShardDescriptor = {
  shard: ShardId(300),
  start: utf8('a'),
  end: utf8('mm'),
  epoch: { membership: 2, range: 1 },
  replicas: [
    { replica: ReplicaId(7), node: NodeId(1) },
    { replica: ReplicaId(9), node: NodeId(3), storeId: 'b3' },
  ],
};

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

describe('descriptor', () => {
  const bytes = '04ac020161026d6d020102' + '070100' + '0903026233';
  const unbound = '01ac020161026d6d02010207010903';

  test('has the bytes of docs/formats/descriptor.md', () => {
    expect(toHex(encodeDescriptor(descriptor))).toBe(bytes);
    expect(decodeDescriptor(encodeDescriptor(descriptor))).toEqual(descriptor);
    const learning = { ...descriptor, learners: [descriptor.replicas[0].replica] };
    expect(encodeDescriptor({ ...descriptor, learners: [] })).toEqual(encodeDescriptor(descriptor));
    const withLearner = encodeDescriptor(learning);
    expect([withLearner[0], ...withLearner.subarray(-2)]).toEqual([6, 1, learning.learners[0]]);
    expect(decodeDescriptor(withLearner)).toEqual(learning);
    expect(() => decodeDescriptor(withLearner.subarray(0, -1))).toThrow();
  });

  test('of the format before, without data directories', () => {
    const replicas = descriptor.replicas.map(({ replica, node }) => ({ replica, node }));
    expect(decodeDescriptor(bytesOf(unbound))).toEqual({ ...descriptor, replicas });
  });

  test('every cut is refused', () => {
    const whole = encodeDescriptor(descriptor);
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeDescriptor(whole.subarray(0, length))).toThrow();
    }
    expect(() => decodeDescriptor(Uint8Array.of(...whole, 0))).toThrow('too many');
  });

  test('an unknown format is refused by its number', () => {
    const other = encodeDescriptor(descriptor);
    other[0] = 2;
    expect(() => decodeDescriptor(other)).toThrow('format 2');
  });

  test.each([
    ['a', true],
    ['mlzzz', true],
    ['mm', false],
    ['mm0', false],
    ['A', false],
  ])('contains %j: %s', (key, expected) => {
    expect(containsKey(descriptor, utf8(key))).toBe(expected);
    expect(containsKey({ ...descriptor, end: new Uint8Array(0) }, utf8(key))).toBe(key >= 'a');
  });

  test('knows where its replicas are', () => {
    expect(replicaOn(descriptor, NodeId(3))).toBe(9);
    expect(replicaOn(descriptor, NodeId(2))).toBeUndefined();
    expect(nodeOf(descriptor, ReplicaId(7))).toBe(1);
  });
});

describe('entry', () => {
  test('effects', () => {
    const entry = { type: 'effects', epoch: { membership: 1, range: 130 }, batch: Uint8Array.of(9, 8) } as const;
    expect(toHex(encodeEntry(entry))).toBe('010182010908');
    expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
  });

  test('truncateLog', () => {
    const entry = { type: 'truncateLog', upTo: LogIndex(1000) } as const;
    expect(toHex(encodeEntry(entry))).toBe('02e807');
    expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
  });

  test('changeGroup', () => {
    const entry = { type: 'changeGroup', descriptor: newGroup(descriptor) } as const;
    expect(toHex(encodeEntry(entry))).toBe(`03${toHex(encodeGroupDescriptor(entry.descriptor))}`);
    expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
  });

  test.each([
    ['no bytes', []],
    ['an unknown type', [4, 1]],
    ['a group that is cut off', [3, 2, 1]],
    ['an epoch that is cut off', [1, 0x80]],
    ['bytes after the index', [2, 1, 0]],
  ])('%s is refused', (_what, bytes) => {
    expect(() => decodeEntry(Uint8Array.from(bytes))).toThrow();
  });
});
