/**
 * Arguments of Node for a process that is a node of a cluster; `bin/quorate` has the same. Node takes them only at its start;
 * `v8.setFlagsFromString` comes too late.
 *
 * - A young generation that begins with the 16 MiB that it may have anyway: by itself it begins with 1 and grows only with what
 *   outlives a collection, which is little here, so that it is collected all the time (docs/decisions/2026-11-21-cost-of-a-put.md).
 * - The whole heap is collected when it is four times what the last collection left, as V8 itself has it at the most: by itself it
 *   comes near to doing so with every collection of the young generation (docs/decisions/2026-11-21-full-collections.md).
 * - Machine code from the first call on, and optimized code after less of it: by itself V8 looks at how much a function has
 *   done, so that a node with few operations a second runs slow code for minutes
 *   (docs/decisions/2026-11-21-one-put-in-series.md). Node 22 and later have a compiler in between, and not this budget.
 */
export const nodeArguments: readonly string[] = [
  '--min-semi-space-size=16',
  '--heap-growing-percent=300',
  '--always-sparkplug',
  ...(process.version.startsWith('v20.') ? ['--interrupt-budget=20000'] : []),
];
