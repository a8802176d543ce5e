import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReplicaId } from '../../src/base/ids.js';
import {
  type Configuration,
  configurationFault,
  createConfiguration,
  equalConfigurations,
  isJoint,
} from '../../src/raft/config.js';
import { changedConfiguration, incomingVoters, leftJoint, mayFollow } from '../../src/raft/config-change.js';
import { decodeConfiguration, encodeConfiguration } from './configuration-text.js';
import { anyConfiguration, anyMembers, quorumsOf } from './naive-quorum.js';

const ids = (...numbers: number[]): ReplicaId[] => numbers.map(ReplicaId);
const simple = (voters: number[], learners: number[] = []): Configuration =>
  createConfiguration({ voters: ids(...voters), learners: ids(...learners) });

/** Whether every quorum of one has a voter in common with every quorum of the other. */
function overlap(a: Configuration, b: Configuration): boolean {
  const others = quorumsOf(b);
  return quorumsOf(a).every((quorum) => others.every((other) => other.some((voter) => quorum.includes(voter))));
}

describe('a change', () => {
  test('goes through configurations of which each shares a voter with the next, whatever the quorums', () => {
    fc.assert(
      fc.property(anyMembers, anyMembers, (from, to) => {
        const before = createConfiguration(from);
        const next = changedConfiguration(before, to);
        const after = isJoint(next) ? leftJoint(next) : next;
        expect(overlap(before, next) && overlap(next, after)).toBe(true);
        expect(equalConfigurations(after, createConfiguration(to))).toBe(true);
        expect(mayFollow(before, next)).toBe(true);
        if (isJoint(next)) expect(mayFollow(next, after)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('follows only what it was made for', () => {
    let followed = 0;
    fc.assert(
      fc.property(anyConfiguration, anyConfiguration, (current, next) => {
        if (!mayFollow(current, next)) return;
        followed++;
        expect(overlap(current, next)).toBe(true);
      }),
      { numRuns: 5000 },
    );
    expect(followed).toBeGreaterThan(5);
    expect(mayFollow(simple([1, 2, 3]), simple([1, 4, 5]))).toBe(false);
    expect(mayFollow(simple([1, 2, 3]), simple([1, 2, 3, 4]))).toBe(true);
    const joint = changedConfiguration(simple([1, 2, 3]), { voters: ids(1, 4, 5), learners: [] });
    expect(mayFollow(simple([1, 2, 4]), joint)).toBe(false);
    expect(mayFollow(joint, simple([1, 2, 3]))).toBe(false);
    expect(mayFollow(joint, simple([1, 4, 5]))).toBe(true);
  });

  test('of one voter needs no joint configuration; of more it does', () => {
    const next = (voters: number[], learners: number[] = []): Configuration =>
      changedConfiguration(simple([1, 2, 3], [4]), { voters: ids(...voters), learners: ids(...learners) });
    expect(next([1, 2, 3, 4])).toEqual(simple([1, 2, 3, 4]));
    expect(next([1, 2], [3, 4])).toEqual(simple([1, 2], [3, 4]));
    expect(next([1, 2, 3], [])).toEqual(simple([1, 2, 3]));
    expect(next([1, 2, 4], [3])).toEqual({
      voters: [1, 2, 4],
      votersOutgoing: [1, 2, 3],
      learners: [],
      learnersNext: [3],
      autoLeave: true,
    });
    expect(leftJoint(next([1, 2, 4], [3]))).toEqual(simple([1, 2, 4], [3]));
    expect(incomingVoters(simple([1, 2, 3], [4]), next([1, 2, 4], [3]))).toEqual([4]);
  });

  test('to nothing, or while a joint configuration acts, is a bug of the caller', () => {
    const joint = changedConfiguration(simple([1, 2, 3]), { voters: ids(1), learners: [] });
    expect(() => changedConfiguration(joint, { voters: ids(1), learners: [] })).toThrow('left before the next');
    expect(() => changedConfiguration(simple([1]), { voters: [], learners: ids(1) })).toThrow('without voters');
  });
});

describe('a configuration', () => {
  test('keeps its invariants whatever it is made of', () => {
    fc.assert(
      fc.property(anyConfiguration, (configuration) => {
        expect(configurationFault(configuration)).toBeUndefined();
        expect(decodeConfiguration(encodeConfiguration(configuration))).toEqual(configuration);
      }),
    );
  });

  test.each<[string, Partial<Configuration>]>([
    ['do not ascend', { voters: ids(2, 1) }],
    ['do not ascend', { voters: ids(1, 1) }],
    ['without voters', { learners: ids(1) }],
    ['a learner that votes', { voters: ids(1), learners: ids(1) }],
    ['a learner that votes', { voters: ids(1), votersOutgoing: ids(2), learners: ids(2) }],
    ['stays a voter', { voters: ids(1), votersOutgoing: ids(1, 2), learnersNext: ids(1) }],
    ['never voted', { voters: ids(1), votersOutgoing: ids(1, 2), learnersNext: ids(3) }],
    ['not joint', { voters: ids(1), autoLeave: true }],
  ])('that is wrong is refused: %s', (fault, parts) => {
    const empty = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
    expect(configurationFault({ ...empty, ...parts })).toContain(fault);
  });
});
