import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReplicaId } from '../../src/base/ids.js';
import { type Configuration, isJoint } from '../../src/raft/config.js';
import { electionResult, hasQuorum, quorumReached } from '../../src/raft/quorum.js';
import { anyConfiguration, membersOf, quorumsOf } from './naive-quorum.js';

/** A configuration, and one value for each of its members. */
function group<T>(value: fc.Arbitrary<T>): fc.Arbitrary<{ configuration: Configuration; values: Map<ReplicaId, T> }> {
  return anyConfiguration.chain((configuration) => {
    const members = membersOf(configuration);
    return fc
      .array(value, { minLength: members.length, maxLength: members.length })
      .map((list) => ({ configuration, values: new Map(members.map((member, i) => [member, list[i]])) }));
  });
}

describe('quorum', () => {
  test('hasQuorum holds exactly when all of some quorum do', () => {
    fc.assert(
      fc.property(group(fc.boolean()), ({ configuration, values }) => {
        const naive = quorumsOf(configuration).some((quorum) => quorum.every((voter) => values.get(voter)));
        expect(hasQuorum(configuration, (voter) => values.get(voter) === true)).toBe(naive);
      }),
    );
  });

  test('quorumReached is the best that a whole quorum has', () => {
    fc.assert(
      fc.property(group(fc.nat(9)), ({ configuration, values }) => {
        const least = (quorum: ReplicaId[]): number => Math.min(...quorum.map((voter) => values.get(voter) ?? 0));
        const naive = Math.max(...quorumsOf(configuration).map(least));
        expect(quorumReached(configuration, (voter) => values.get(voter) ?? 0)).toBe(naive);
      }),
    );
  });

  test('an election is won by a quorum of votes, and lost when none can come about any more', () => {
    fc.assert(
      fc.property(group(fc.constantFrom('granted', 'refused', 'silent')), ({ configuration, values }) => {
        const votes = new Map<ReplicaId, boolean>();
        for (const [voter, answer] of values) if (answer !== 'silent') votes.set(voter, answer === 'granted');
        const quorums = quorumsOf(configuration);
        const won = quorums.some((quorum) => quorum.every((voter) => values.get(voter) === 'granted'));
        const possible = quorums.some((quorum) => quorum.every((voter) => values.get(voter) !== 'refused'));
        expect(electionResult(configuration, votes)).toBe(won ? 'won' : possible ? 'open' : 'lost');
      }),
    );
  });

  test('joint configurations are among what is drawn, and need both halves', () => {
    const drawn = fc.sample(anyConfiguration, 200);
    expect(drawn.filter(isJoint).length).toBeGreaterThan(20);
    for (const { voters, votersOutgoing, ...rest } of drawn.filter(isJoint)) {
      const configuration = { voters, votersOutgoing, ...rest };
      const onlyOutside = (list: readonly ReplicaId[]): boolean =>
        hasQuorum(configuration, (replica) => !list.includes(replica));
      expect(onlyOutside(voters) || onlyOutside(votersOutgoing)).toBe(false);
    }
  });

  test('where nobody votes there is no quorum', () => {
    const nobody = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
    expect(hasQuorum(nobody, () => true)).toBe(false);
    expect(quorumReached(nobody, () => 7)).toBe(0);
    expect(electionResult(nobody, new Map())).toBe('lost');
  });
});
