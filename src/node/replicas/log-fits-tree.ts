import type { LogIndex } from '../../base/ids.js';

/**
 * What is wrong with a log whose tree has applied, durably, the entries up to `appliedIndex`; undefined if they fit. A
 * log may lack entries that the tree has, but not the one after them: that would have been lost, or the tree put back.
 */
export function logFault(
  { firstIndex, lastIndex }: { readonly firstIndex: LogIndex; readonly lastIndex: LogIndex },
  appliedIndex: LogIndex,
): string | undefined {
  if (appliedIndex > lastIndex) {
    return `the log ends at ${lastIndex}, though the tree has applied entry ${appliedIndex}`;
  }
  if (appliedIndex < firstIndex - 1) {
    return `the log starts at ${firstIndex}, though the tree has applied no entry after ${appliedIndex}`;
  }
  return undefined;
}
