import { expect, test } from 'vitest';
import { RequestIds } from '../../src/client/request-ids.js';

test('each range has a session of its own, counted one by one', () => {
  const ids = new RequestIds();
  const given = ['a', 'b', 'a', 'a', 'b'].map((range) => ids.next(range));
  expect(given.map(({ seq }) => seq)).toEqual([1, 1, 2, 3, 2]);
  const [a, b] = given;
  expect(a.session).not.toEqual(b.session);
  expect(given.map(({ session }) => (session === a.session ? 'a' : 'b'))).toEqual(['a', 'b', 'a', 'a', 'b']);
});

test('a range that was forgotten begins with a new session: no name is given twice', () => {
  const ids = new RequestIds();
  const [before, kept] = [ids.next('a'), ids.next('b')];
  ids.retain(new Set(['b']));
  expect(ids.next('a').session).not.toEqual(before.session);
  expect(ids.next('b')).toEqual({ session: kept.session, seq: 2 });
});
