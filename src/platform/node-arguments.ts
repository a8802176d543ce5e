/**
 * Arguments of Node for a process that is a node of a cluster; `bin/quorate` has the same. A young generation that begins with
 * the 16 MiB that it may have anyway: by itself it begins with 1 and grows only with what outlives a collection, which is
 * little here, so that it is collected all the time (docs/decisions/2026-11-21-cost-of-a-put.md). Node takes this only at its
 * start; `v8.setFlagsFromString` comes too late.
 */
export const nodeArguments: readonly string[] = ['--min-semi-space-size=16'];
