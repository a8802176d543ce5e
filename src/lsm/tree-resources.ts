import type { Background } from '../env/background.js';
import type { Clock } from '../env/clock.js';
import type { Disk } from '../env/disk.js';
import type { Logger } from '../env/logger.js';
import type { BlockCache } from './block-cache.js';
import type { Throttle } from '../env/throttle.js';
import type { MemtableBudget } from './memtable/memtable-budget.js';
import type { RowCache } from './row-cache.js';
import type { OpenFiles } from './sstable/open-files.js';

/** What a tree has of the outside world; all but the logger and what it owns is shared by the trees of a node. */
export interface TreeResources {
  readonly disk: Disk;
  /** Must know the jobs of `lsmJobs`. */
  readonly background: Background;
  readonly blockCache: BlockCache;
  readonly openFiles: OpenFiles;
  readonly rowCache: RowCache;
  readonly memtableBudget: MemtableBudget;
  /**
   * Of what compactions write; undefined for no limit. Flushes never wait, since writes would wait for them, but the compactions
   * that come next pay for them.
   */
  readonly compactionThrottle?: Throttle | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Disposed of when the tree is closed. */
  readonly owned?: AsyncDisposable;
}
