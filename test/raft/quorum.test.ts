import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReplicaId } from '../../src/base/ids.js';
import { type Configuration, createConfiguration } from '../../src/raft/config.js';
import { electionResult, hasQuorum, quorumReached } from '../../src/raft/quorum.js';

/** The obvious way: a quorum is a subset of more than half; look at all of them. */
function quorumsOf({ voters }: Configuration): ReplicaId[][] {
  const subsets: ReplicaId[][] = [];
  for (let bits = 0; bits < 2 ** voters.length; bits++) {
    const subset = voters.filter((_, i) => (bits >> i) % 2 === 1);
    if (subset.length > voters.length - subset.length) subsets.push(subset);
  }
  return subsets;
}

/** One value for each of 1 … 7 voters. */
function group<T>(value: fc.Arbitrary<T>): fc.Arbitrary<{ configuration: Configuration; values: Map<ReplicaId, T> }> {
  return fc.array(value, { minLength: 1, maxLength: 7 }).map((list) => {
    const values = new Map(list.map((item, i) => [ReplicaId(i + 1), item]));
    return { configuration: createConfiguration([...values.keys()]), values };
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

  test('a configuration is ascending and has each voter once', () => {
    expect(createConfiguration([3, 1, 2].map(ReplicaId)).voters).toEqual([1, 2, 3]);
    expect(() => createConfiguration([1, 1].map(ReplicaId))).toThrow('twice');
    expect(() => createConfiguration([])).toThrow('needs a voter');
  });
});
