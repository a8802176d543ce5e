import { describe, expect, test } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, Term } from '../../src/base/ids.js';
import { effectOf } from '../../src/shard/entry-effect.js';
import { encodeEntry, type ShardEntry } from '../../src/shard/entry-format.js';
import { newGroup } from '../../src/shard/group-descriptor.js';
import { descriptor } from './scripted-executor.js';

const shard = newGroup({ ...descriptor, replicas: [{ replica: ReplicaId(1), node: NodeId(1) }], epoch: epoch(4, 7) });

function epoch(membership: number, range: number): { membership: number; range: number } {
  return { membership, range };
}

function effect(entry: ShardEntry): string {
  const data = encodeEntry(entry);
  const found = effectOf({ index: LogIndex(9), term: Term(2), data }, shard);
  return found.type === 'refused' ? found.error.code : found.type;
}

describe('of a shard in membership 4 and range 7', () => {
  test.each([
    ['of its range', epoch(4, 7), 'write'],
    ['of its range, before its members changed', epoch(3, 7), 'write'],
    ['of the range before', epoch(4, 6), 'EPOCH_MISMATCH'],
    ['of a range that it does not have yet', epoch(4, 8), 'EPOCH_MISMATCH'],
  ])('a write %s', (_what, at, type) => {
    expect(effect({ type: 'effects', epoch: at, batch: utf8('batch') })).toBe(type);
  });

  test.each([
    ['the next', epoch(5, 7), 'changeGroup'],
    ['the one that it has', epoch(4, 7), 'EPOCH_MISMATCH'],
    ['the one after the next', epoch(6, 7), 'EPOCH_MISMATCH'],
    ['one of another range', epoch(5, 8), 'EPOCH_MISMATCH'],
  ])('a change of its members to %s', (_what, at, type) => {
    expect(effect({ type: 'changeGroup', descriptor: { ...shard, epoch: at } })).toBe(type);
  });
});

test("a leader's first entry does nothing", () => {
  expect(effectOf({ index: LogIndex(9), term: Term(2), data: emptyBytes }, shard)).toEqual({ type: 'nothing' });
});
