import type { Timestamp } from '../base/ids.js';
import type { Background } from '../env/background.js';
import type { Clock } from '../env/clock.js';
import type { Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import type { Throttle } from '../env/throttle.js';
import type { MemtableBudget } from './memtable/memtable-budget.js';
import type { MemtableQueue } from './memtable/memtable-queue.js';
import type { SpaceRetry } from './space-retry.js';
import type { TreeOptions } from './tree-options.js';
import type { VersionEdit } from './version/version-edit.js';
import type { VersionSet } from './version/version-set.js';

export interface MaintenanceResources {
  readonly disk: Disk;
  readonly background: Background;
  readonly memtableBudget: MemtableBudget;
  /** Of all trees of the node; undefined for no limit. */
  readonly compactionThrottle?: Throttle | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What the flushes and compactions of one tree share. */
export interface MaintenanceContext {
  readonly memtables: MemtableQueue;
  readonly versions: VersionSet;
  readonly resources: MaintenanceResources;
  readonly options: TreeOptions;
  readonly space: SpaceRetry;
  /** Aborted with a TreeClosedError when the tree is closed. */
  readonly closing: AbortSignal;
  /** As it is now. */
  safePoint(): Timestamp;
}

/** The edit's tables are kept whatever happens: after a failure nobody knows which state a crash would show. */
export async function runEdit({ space, versions }: MaintenanceContext, edit: VersionEdit): Promise<void> {
  await space.run('edit of the manifest', () => versions.apply(edit));
}
