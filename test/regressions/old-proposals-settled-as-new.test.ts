/**
 * After a leader had lost its shard and got it back, what it had proposed in its earlier term still waited; an entry of
 * its new term could then be taken for one of those, and answer it.
 */
import { expect, test } from 'vitest';
import { emptyBytes } from '../../src/base/bytes.js';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { Proposals } from '../../src/shard/proposals.js';
import type { ProposalEnd } from '../../src/shard/proposals.js';
import { Scenario } from '../sim/scenario.js';

const entry = (index: number, term: number): { index: LogIndex; term: Term; data: Uint8Array } => ({
  index: LogIndex(index),
  term: Term(term),
  data: emptyBytes,
});

function record(proposals: Proposals, index: number, term: number): ProposalEnd[] {
  const ends: ProposalEnd[] = [];
  proposals.add({ index: LogIndex(index), term: Term(term), done: (end) => ends.push(end) });
  return ends;
}

test('an entry of a later term at its index tells a proposal that it was lost', () => {
  const proposals = new Proposals(ShardId(4));
  const [fifth, sixth, seventh] = [5, 6, 7].map((index) => record(proposals, index, 1));
  proposals.settle(entry(5, 1), undefined);
  proposals.settle(entry(6, 2), undefined);
  expect(fifth).toEqual([{ type: 'applied', index: 5 }]);
  expect(sixth).toMatchObject([{ type: 'lost', error: { code: 'NOT_LEADER', outcome: 'notApplied', shard: 4 } }]);
  expect(seventh).toEqual([]);
  proposals.overtaken();
  expect(seventh).toMatchObject([{ type: 'lost', error: { outcome: 'notApplied' } }]);
  proposals.settle(entry(7, 3), undefined);
  expect([fifth, sixth, seventh].map((ends) => ends.length)).toEqual([1, 1, 1]);
});

test('proposals of two terms never wait together', () => {
  const proposals = new Proposals(ShardId(4));
  record(proposals, 5, 1);
  expect(() => record(proposals, 6, 2)).toThrow('of one term');
  expect(() => record(proposals, 5, 1)).toThrow('order');
});

test.each([62, 63, 64])(
  'writes of a leader that lost its shard and got it back are settled rightly (seed %i)',
  async (seed) => {
    const scenario = await Scenario.formed({ seed });
    const leader = scenario.leaderOf();
    const [other, third] = scenario.others(leader);
    // Two entries that nobody else gets: large values do not share one.
    const { lastIndex } = scenario.replica(leader);
    const conditions = { condition: { type: 'absent' }, timeoutMs: 20_000 } as const;
    const lost = ['a', 'b'].map((key) => scenario.put(leader, key, key.repeat(4000), conditions));
    await scenario.until('an entry is in the log', () => scenario.replica(leader).lastIndex > lastIndex);
    scenario.isolate(leader);
    await scenario.until(
      'another leads',
      () => scenario.replica(other).isReadyLeader || scenario.replica(third).isReadyLeader,
    );
    await scenario.written(scenario.put(other, 'c', 'other'));
    scenario.heal();
    await scenario.leadBy(leader);
    const more = ['d', 'e', 'f'].map((key) => scenario.put(leader, key, key));

    const versions = new Map<string, number>();
    for (const [i, call] of [...lost, ...more].entries()) versions.set('abdef'.charAt(i), await scenario.written(call));
    for (const [key, version] of versions) {
      expect(await scenario.answer(scenario.get(leader, key)), key).toMatchObject({ type: 'found', version });
    }
    expect(await scenario.value(scenario.get(leader, 'c'))).toBe('other');
  },
);
