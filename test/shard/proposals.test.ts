import { expect, test } from 'vitest';
import { emptyBytes } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { LogIndex, ShardId, Term } from '../../src/base/ids.js';
import { type ProposalEnd, Proposals } from '../../src/shard/proposals.js';

/** Proposals of term 2 for the entries 5, 6 and 7; how each ended, so far. */
function waiting(): { readonly proposals: Proposals; readonly ends: () => string } {
  const proposals = new Proposals(ShardId(3));
  const ended: ProposalEnd[] = [];
  for (const index of [5, 6, 7]) {
    proposals.add({ index: LogIndex(index), term: Term(2), done: (end) => ended.push(end) });
  }
  const show = (end: ProposalEnd): string =>
    end.type === 'applied' ? `applied ${end.index}` : `${end.error.code} ${end.error.outcome}`;
  return { proposals, ends: () => ended.map(show).join(', ') };
}

function entry(index: number, term: number): { index: LogIndex; term: Term; data: Uint8Array } {
  return { index: LogIndex(index), term: Term(term), data: emptyBytes };
}

test('a proposal ends when its entry is applied: well, or refused as the entry was', () => {
  const { proposals, ends } = waiting();
  proposals.settle(entry(4, 1), undefined);
  expect(ends()).toBe('');
  proposals.settle(entry(5, 2), undefined);
  expect(ends()).toBe('applied 5');
  proposals.settle(entry(6, 2), new QuorateError('EPOCH_MISMATCH', 'the shard has changed'));
  expect(ends()).toBe('applied 5, EPOCH_MISMATCH notApplied');
});

test('a proposal whose place another entry took was never applied', () => {
  const { proposals, ends } = waiting();
  proposals.settle(entry(5, 3), undefined);
  expect(ends()).toBe('NOT_LEADER notApplied');
  // Nor is the error of that one its own.
  proposals.settle(entry(6, 3), new QuorateError('EPOCH_MISMATCH', 'the shard has changed'));
  expect(ends()).toBe('NOT_LEADER notApplied, NOT_LEADER notApplied');
});

test('of proposals within a Raft snapshot nobody knows; later ones wait on', () => {
  const { proposals, ends } = waiting();
  proposals.skipped(LogIndex(6));
  expect(ends()).toBe('NOT_LEADER unknown, NOT_LEADER unknown');
  proposals.overtaken();
  expect(ends()).toBe('NOT_LEADER unknown, NOT_LEADER unknown, NOT_LEADER notApplied');
});
