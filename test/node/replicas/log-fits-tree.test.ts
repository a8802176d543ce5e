import { expect, test } from 'vitest';
import { LogIndex } from '../../../src/base/ids.js';
import { logFault } from '../../../src/node/replicas/log-fits-tree.js';

test.each([
  { log: [2, 1], applied: 1, fault: undefined },
  { log: [2, 9], applied: 1, fault: undefined },
  { log: [5, 9], applied: 4, fault: undefined },
  { log: [5, 9], applied: 9, fault: undefined },
  { log: [5, 9], applied: 10, fault: 'the log ends at 9, though the tree has applied entry 10' },
  { log: [5, 9], applied: 3, fault: 'the log starts at 5, though the tree has applied no entry after 3' },
])('a log of entries $log and a tree that has applied $applied', ({ log: [first, last], applied, fault }) => {
  expect(logFault({ firstIndex: LogIndex(first), lastIndex: LogIndex(last) }, LogIndex(applied))).toBe(fault);
});
