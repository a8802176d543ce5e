import type { LogIndex } from '../base/ids.js';
import { runEdit, type MaintenanceContext } from './maintenance-context.js';
import { flushJobType, type FlushInput } from './memtable/flush-job.js';
import type { Memtable } from './memtable/memtable.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import { tableOptions } from './tree-options.js';
import { DrainRate } from './write-delay.js';

/** Sums since the tree was opened. */
export interface FlushStats {
  readonly flushes: number;
  readonly flushedBytes: number;
}

/** Writes sealed memtables as tables of level 0, the oldest first. */
export class FlushRunner {
  readonly #context: MaintenanceContext;
  readonly #onFlushed: (durableAppliedIndex: LogIndex) => void;
  readonly #rate = new DrainRate();
  readonly #stats = { flushes: 0, flushedBytes: 0 };

  /** @param onFlushed called after each flush */
  constructor(context: MaintenanceContext, onFlushed: (durableAppliedIndex: LogIndex) => void) {
    this.#context = context;
    this.#onFlushed = onFlushed;
  }

  get stats(): FlushStats {
    return this.#stats;
  }

  get bytesPerMs(): number | undefined {
    return this.#rate.bytesPerMs;
  }

  get isDue(): boolean {
    return this.#context.memtables.sealedCount > 0;
  }

  /** Until none is left. */
  async run(): Promise<void> {
    const { memtables } = this.#context;
    for (let memtable = memtables.oldestSealed; memtable; memtable = memtables.oldestSealed) {
      this.#context.closing.throwIfAborted();
      await this.#flush(memtable);
    }
  }

  async #flush(memtable: Memtable): Promise<void> {
    const { memtables, versions, resources, space } = this.#context;
    const startMs = resources.clock.monotonicMs();
    const table = memtable.count === 0 ? undefined : await space.run('flush', () => this.#writeTable(memtable));
    const added = table === undefined ? [] : [{ level: 0, table }];
    await runEdit(this.#context, { removed: [], added, appliedIndex: memtable.appliedIndex });
    memtables.dropOldestSealed(memtable);
    this.#rate.add(memtable.bytes, resources.clock.monotonicMs() - startMs);
    const bytes = table?.bytes ?? 0;
    resources.compactionThrottle?.charge(bytes);
    this.#stats.flushes++;
    this.#stats.flushedBytes += bytes;
    resources.logger.debug('memtable flushed', {
      directory: versions.directory,
      appliedIndex: memtable.appliedIndex,
      table: table?.number,
      bytes,
    });
    this.#onFlushed(memtable.appliedIndex);
  }

  #writeTable(memtable: Memtable): Promise<TableMetadata> {
    const { versions, resources, options, closing } = this.#context;
    const number = versions.takeFileNumbers(1);
    const input: FlushInput = {
      ...tableOptions(options, 0),
      directory: versions.directory,
      number,
      safePoint: this.#context.safePoint(),
      buffers: memtable.entries.buffers,
      references: memtable.index.references(),
      ranges: memtable.ranges.lists,
    };
    return resources.background.run({ type: flushJobType, input, isUrgent: true }, closing);
  }
}
