import type { LogIndex } from '../base/ids.js';
import { runEdit, type MaintenanceContext } from './maintenance-context.js';
import { flushJobType, type FlushInput, type FlushOutput } from './memtable/flush-job.js';
import type { Memtable } from './memtable/memtable.js';
import { keepsLargeValuesApart, tableOptions, valueCompression } from './tree-options.js';
import { totalFileBytes } from './value/value-files.js';
import { DrainRate } from './write-delay.js';

/** Sums since the tree was opened. */
export interface FlushStats {
  readonly flushes: number;
  readonly flushedBytes: number;
}

/** Makes durable what a tree holds: its state at the opening, then sealed memtables as tables of level 0, the oldest first. */
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
    const { memtables, versions } = this.#context;
    return memtables.sealedCount > 0 || !versions.isConfirmed;
  }

  /** Until none is left. */
  async run(): Promise<void> {
    const { memtables, versions } = this.#context;
    if (!versions.isConfirmed) await this.#confirm();
    for (let memtable = memtables.oldestSealed; memtable; memtable = memtables.oldestSealed) {
      this.#context.closing.throwIfAborted();
      await this.#flush(memtable);
    }
  }

  /** There was no space for it when the tree was opened. */
  async #confirm(): Promise<void> {
    const { versions, space } = this.#context;
    await space.run('opening', () => versions.confirm());
    this.#onFlushed(versions.durableAppliedIndex);
  }

  async #flush(memtable: Memtable): Promise<void> {
    const { memtables, versions, resources, space } = this.#context;
    const startMs = resources.clock.monotonicMs();
    const output = memtable.count === 0 ? undefined : await space.run('flush', () => this.#writeFiles(memtable));
    const added = output === undefined ? [] : [{ level: 0, table: output.table }];
    await runEdit(this.#context, {
      removed: [],
      added,
      addedValues: output?.valueFiles ?? [],
      appliedIndex: memtable.appliedIndex,
    });
    memtables.dropOldestSealed(memtable);
    this.#rate.add(memtable.bytes, resources.clock.monotonicMs() - startMs);
    const bytes = output === undefined ? 0 : output.table.bytes + totalFileBytes(output.valueFiles);
    resources.compactionThrottle?.charge(bytes);
    this.#stats.flushes++;
    this.#stats.flushedBytes += bytes;
    resources.logger.debug('memtable flushed', {
      directory: versions.directory,
      appliedIndex: memtable.appliedIndex,
      table: output?.table.number,
      bytes,
    });
    this.#onFlushed(memtable.appliedIndex);
  }

  async #writeFiles(memtable: Memtable): Promise<FlushOutput> {
    const { versions, resources, options, closing } = this.#context;
    const buffers = await this.#copiesOf(memtable.entries.buffers);
    const number = versions.takeFileNumbers(keepsLargeValuesApart(options) ? 2 : 1);
    const input: FlushInput = {
      ...tableOptions(options, 0),
      directory: versions.directory,
      number,
      valueFileNumber: number + 1,
      valueCompression: valueCompression(options),
      largeValueBytesMin: options.largeValueBytesMin,
      safePoint: this.#context.safePoint(),
      buffers,
      references: memtable.index.references(),
      rangeTombstones: memtable.ranges.tombstones,
    };
    return resources.background.run({ type: flushJobType, input, transfer: buffers, isUrgent: true }, closing);
  }

  /**
   * An end of turn for each of them, of which a few come in one iteration of the event loop: 16 MiB of memory that is new to the process take
   * 7 ms to copy to, in all.
   */
  async #copiesOf(buffers: readonly ArrayBuffer[]): Promise<ArrayBuffer[]> {
    const { resources, closing } = this.#context;
    const copies: ArrayBuffer[] = [];
    for (const buffer of buffers) {
      copies.push(buffer.slice(0));
      await new Promise<void>((resolve) => resources.clock.endOfTurn(resolve));
      closing.throwIfAborted();
    }
    return copies;
  }
}
