import { describe, expect, test } from 'vitest';
import { LogIndex, Term } from '../../src/base/ids.js';
import { HandedOut } from '../../src/raft/handed-out.js';
import type { HardState, SoftState } from '../../src/raft/types.js';

const softState: SoftState = { role: 'follower', term: Term(1), leader: 0 };

function hardState(commit: number): HardState {
  return { term: Term(1), vote: 0, commit: LogIndex(commit) };
}

describe('a commit index that is to be kept', () => {
  test('is synced by itself, once', () => {
    const handedOut = new HandedOut(hardState(4), softState);
    handedOut.hand(hardState(6), softState, false);
    handedOut.keepCommit(LogIndex(5));
    expect(handedOut.isNews(hardState(6), softState)).toBe(true);
    expect(handedOut.hand(hardState(6), softState, false)).toMatchObject({ hardState: hardState(6), mustSync: true });
    expect(handedOut.isNews(hardState(6), softState)).toBe(false);
    expect(handedOut.hand(hardState(6), softState, false)).toMatchObject({ hardState: undefined, mustSync: false });
  });

  test('is none that was durable at the start', () => {
    const handedOut = new HandedOut(hardState(4), softState);
    handedOut.keepCommit(LogIndex(4));
    expect(handedOut.isNews(hardState(4), softState)).toBe(false);
  });

  test('is none that entries have taken along', () => {
    const handedOut = new HandedOut(hardState(4), softState);
    handedOut.hand(hardState(5), softState, true);
    handedOut.keepCommit(LogIndex(5));
    expect(handedOut.isNews(hardState(5), softState)).toBe(false);
  });

  test('is one that was handed over without a sync', () => {
    const handedOut = new HandedOut(hardState(4), softState);
    expect(handedOut.hand(hardState(5), softState, false)).toMatchObject({ hardState: hardState(5), mustSync: false });
    handedOut.keepCommit(LogIndex(5));
    expect(handedOut.isNews(hardState(5), softState)).toBe(true);
  });
});
