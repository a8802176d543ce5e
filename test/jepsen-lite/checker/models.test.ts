/** What each model allows, as tables: state, input, output, next state. */
import { describe, expect, test } from 'vitest';
import {
  appendStringModel,
  counterModel,
  impossible,
  registerModel,
  setModel,
  versionedRegisterModel,
  type Model,
} from '../../../jepsen-lite/checker/check.js';

type Row<S, I, O> = [state: S, input: I, output: O | undefined, next: S | typeof impossible];

function table<S, I, O>(model: Model<S, I, O>, rows: Row<S, I, O>[]): void {
  describe(model.name, () => {
    test.each(
      rows.map((row) => [`${model.describeState(row[0])}: ${model.describeOperation(row[1], row[2])}`, row] as const),
    )('%s', (_, [state, input, output, next]) => {
      expect(model.step(state, input, output)).toEqual(next);
    });
  });
}

table(registerModel, [
  [null, { type: 'read' }, { type: 'value', value: null }, null],
  ['a', { type: 'read' }, { type: 'value', value: 'a' }, 'a'],
  ['a', { type: 'read' }, { type: 'value', value: null }, impossible],
  ['a', { type: 'read' }, undefined, 'a'],
  ['a', { type: 'read' }, { type: 'done' }, impossible],
  ['a', { type: 'write', value: 'b' }, { type: 'done' }, 'b'],
  ['a', { type: 'write', value: 'b' }, undefined, 'b'],
  ['a', { type: 'delete' }, { type: 'done' }, null],
  ['a', { type: 'delete' }, undefined, null],
  ['a', { type: 'delete' }, { type: 'nothingDeleted' }, impossible],
  [null, { type: 'delete' }, { type: 'nothingDeleted' }, null],
  [null, { type: 'delete' }, { type: 'done' }, null],
  ['a', { type: 'cas', expected: 'a', value: 'b' }, { type: 'done' }, 'b'],
  ['a', { type: 'cas', expected: 'a', value: null }, { type: 'done' }, null],
  [null, { type: 'cas', expected: null, value: 'b' }, { type: 'done' }, 'b'],
  ['a', { type: 'cas', expected: null, value: 'b' }, { type: 'done' }, impossible],
  ['a', { type: 'cas', expected: 'c', value: 'b' }, { type: 'refused' }, 'a'],
  ['a', { type: 'cas', expected: 'c', value: 'b' }, { type: 'refused', current: 'a' }, 'a'],
  ['a', { type: 'cas', expected: 'c', value: 'b' }, { type: 'refused', current: 'd' }, impossible],
  ['a', { type: 'cas', expected: 'c', value: 'b' }, { type: 'refused', current: null }, impossible],
  ['a', { type: 'cas', expected: 'a', value: 'b' }, { type: 'refused' }, impossible],
  ['a', { type: 'cas', expected: 'a', value: 'b' }, undefined, 'b'],
  ['a', { type: 'cas', expected: 'c', value: 'b' }, undefined, 'a'],
]);

const a5 = { value: 'a', version: 5, exact: true };
const aAfter5 = { value: 'a', version: 5, exact: false };
const deleted = { value: null, version: 5, exact: true };
table(versionedRegisterModel, [
  [a5, { type: 'read' }, { type: 'value', current: { value: 'a', version: 5 } }, a5],
  [a5, { type: 'read' }, { type: 'value', current: { value: 'a', version: 6 } }, impossible],
  [a5, { type: 'read' }, { type: 'value', current: { value: 'b', version: 5 } }, impossible],
  [a5, { type: 'read' }, { type: 'value', current: null }, impossible],
  [deleted, { type: 'read' }, { type: 'value', current: null }, deleted],
  [aAfter5, { type: 'read' }, { type: 'value', current: { value: 'a', version: 5 } }, impossible],
  [aAfter5, { type: 'read' }, { type: 'value', current: { value: 'a', version: 8 } }, { ...a5, version: 8 }],
  [a5, { type: 'write', value: 'b' }, { type: 'written', version: 6 }, { value: 'b', version: 6, exact: true }],
  [a5, { type: 'write', value: 'b' }, { type: 'written', version: 5 }, impossible],
  [a5, { type: 'write', value: 'b' }, undefined, { value: 'b', version: 5, exact: false }],
  [deleted, { type: 'write', value: 'b' }, { type: 'written', version: 4 }, impossible],
  [a5, { type: 'write', value: null }, { type: 'written', version: 7 }, { value: null, version: 7, exact: true }],
  [
    a5,
    { type: 'cas', expectedVersion: 5, value: 'b' },
    { type: 'written', version: 9 },
    { value: 'b', version: 9, exact: true },
  ],
  [a5, { type: 'cas', expectedVersion: 4, value: 'b' }, { type: 'written', version: 9 }, impossible],
  [a5, { type: 'cas', expectedVersion: 4, value: 'b' }, undefined, a5],
  [a5, { type: 'cas', expectedVersion: 5, value: 'b' }, undefined, { value: 'b', version: 5, exact: false }],
  [a5, { type: 'cas', expectedVersion: 4, value: 'b' }, { type: 'refused', current: { value: 'a', version: 5 } }, a5],
  [a5, { type: 'cas', expectedVersion: 4, value: 'b' }, { type: 'refused', current: null }, impossible],
  [
    deleted,
    { type: 'cas', expectedVersion: null, value: 'b' },
    { type: 'written', version: 6 },
    { value: 'b', version: 6, exact: true },
  ],
  [deleted, { type: 'cas', expectedVersion: 5, value: 'b' }, { type: 'refused', current: null }, deleted],
]);

table(appendStringModel, [
  ['', { type: 'get' }, { type: 'value', value: '' }, ''],
  ['x', { type: 'get' }, { type: 'value', value: '' }, impossible],
  ['x', { type: 'get' }, undefined, 'x'],
  ['x', { type: 'append', value: 'y' }, { type: 'done' }, 'xy'],
  ['x', { type: 'append', value: 'y' }, undefined, 'xy'],
  ['x', { type: 'put', value: 'y' }, { type: 'done' }, 'y'],
]);

table(setModel, [
  [[], { type: 'add', element: 'b' }, { type: 'done' }, ['b']],
  [['b'], { type: 'add', element: 'a' }, { type: 'done', changed: true }, ['a', 'b']],
  [['b'], { type: 'add', element: 'b' }, { type: 'done', changed: true }, impossible],
  [['b'], { type: 'add', element: 'b' }, { type: 'done', changed: false }, ['b']],
  [['a', 'b'], { type: 'remove', element: 'a' }, { type: 'done' }, ['b']],
  [['a', 'b'], { type: 'remove', element: 'c' }, undefined, ['a', 'b']],
  [['a', 'b'], { type: 'contains', element: 'c' }, { type: 'contains', found: true }, impossible],
  [['a', 'b'], { type: 'contains', element: 'b' }, { type: 'contains', found: true }, ['a', 'b']],
  [['a', 'b'], { type: 'readAll' }, { type: 'elements', elements: ['b', 'a'] }, ['a', 'b']],
  [['a', 'b'], { type: 'readAll' }, { type: 'elements', elements: ['a'] }, impossible],
  [['a', 'b'], { type: 'readAll' }, { type: 'elements', elements: ['a', 'a'] }, impossible],
]);

table(counterModel, [
  [1, { type: 'read' }, { type: 'value', value: 1 }, 1],
  [1, { type: 'read' }, { type: 'value', value: 2 }, impossible],
  [1, { type: 'add', delta: 2 }, { type: 'done' }, 3],
  [1, { type: 'add', delta: -2 }, { type: 'value', value: -1 }, -1],
  [1, { type: 'add', delta: 2 }, { type: 'value', value: 4 }, impossible],
  [1, { type: 'add', delta: 2 }, undefined, 3],
]);

test('states that differ are told apart', () => {
  const registers = [null, '', 'absent', 'a', '=a'].map((state) => registerModel.identify(state));
  expect(new Set(registers).size).toBe(registers.length);
  const sets = [[], [''], ['a', 'b'], ['a,b'], ['ab'], ['1:a']].map((state) => setModel.identify(state));
  expect(new Set(sets).size).toBe(sets.length);
  const versioned = [a5, aAfter5, deleted, { ...a5, value: '' }, { ...deleted, exact: false }];
  expect(new Set(versioned.map((state) => versionedRegisterModel.identify(state))).size).toBe(versioned.length);
});
