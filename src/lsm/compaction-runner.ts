import { defined } from '../base/assert.js';
import type { LogIndex } from '../base/ids.js';
import { compactJobType, type CompactInput, type CompactOutput } from './compaction/compact-job.js';
import { lastLevel } from './compaction/level-targets.js';
import { pickCompaction, safePointAwaited, type CompactionDecision } from './compaction/picker.js';
import { placeTables, type OutputRange } from './compaction/placement.js';
import { editOfMerge, editOfMove, planMerge, type CompactDecision } from './compaction/plan-compaction.js';
import type { TakenFiles } from './ingest.js';
import { runEdit, type MaintenanceContext } from './maintenance-context.js';
import type { TableMetadata } from './sstable/sstable-format.js';
import { tableBytesTarget, tableOptions } from './tree-options.js';
import { filesToCollect, totalFileBytes, type ValueFiles } from './value/value-files.js';
import { rangeOf, totalBytes } from './version/levels.js';
import type { VersionEdit } from './version/version-edit.js';
import { DrainRate } from './write-delay.js';

/** Sums since the tree was opened. */
export interface CompactionStats {
  readonly compactions: number;
  readonly compactionReadBytes: number;
  readonly compactionWrittenBytes: number;
  readonly compactionDroppedEntries: number;
  /** Of value files that merges wrote; part of `compactionWrittenBytes`. */
  readonly collectedBytes: number;
  /** Tables that went a level down as they were. */
  readonly movedTables: number;
}

/** Compacts what the picker picks, one compaction at a time. */
export class CompactionRunner {
  readonly #context: MaintenanceContext;
  readonly #onDone: () => void;
  /** Of the compaction under way. */
  #writing: OutputRange | undefined;
  /** While tables are taken in. */
  #isHeld = false;
  /** See {@link dueFromSafePoint}. */
  #safePointAwaited = Infinity;
  /** What leaves level 0, and what gets to the last level, by compactions of whatever levels: each waits for the others. */
  readonly #level0Rate = new DrainRate();
  readonly #lastLevelRate = new DrainRate();
  /** What leaves value files for good. */
  readonly #valueRate = new DrainRate();
  readonly #stats = {
    compactions: 0,
    compactionReadBytes: 0,
    compactionWrittenBytes: 0,
    compactionDroppedEntries: 0,
    collectedBytes: 0,
    movedTables: 0,
  };

  /** @param onDone called after each compaction, and when tables were taken in: others may be due */
  constructor(context: MaintenanceContext, onDone: () => void) {
    this.#context = context;
    this.#onDone = onDone;
  }

  get stats(): CompactionStats {
    return this.#stats;
  }

  get level0BytesPerMs(): number | undefined {
    return this.#level0Rate.bytesPerMs;
  }

  get valueBytesPerMs(): number | undefined {
    return this.#valueRate.bytesPerMs;
  }

  get lastLevelBytesPerMs(): number | undefined {
    return this.#lastLevelRate.bytesPerMs;
  }

  get isDue(): boolean {
    return !this.#isHeld && this.#pick().type !== 'nothing';
  }

  /** A safe point with which something may be due that is not due yet; Infinity while there is something to do already. */
  get dueFromSafePoint(): number {
    return this.#safePointAwaited;
  }

  #pick(): CompactionDecision {
    const { versions, options } = this.#context;
    const version = versions.current;
    const skipped = { numbers: version.tablesSkippedThrough(), safePoint: this.#context.safePoint() };
    const decision = pickCompaction(version.levels, options, skipped, this.#filesToCollect());
    this.#safePointAwaited = decision.type === 'nothing' ? safePointAwaited(version.levels, skipped) : Infinity;
    return decision;
  }

  #filesToCollect(): ReadonlySet<number> {
    const { versions, options } = this.#context;
    return filesToCollect(versions.current.valueFiles, options.valueSpaceAmplificationMax);
  }

  /** Until nothing is left to do. */
  async run(): Promise<void> {
    for (;;) {
      this.#context.closing.throwIfAborted();
      if (this.#isHeld) return;
      const decision = this.#pick();
      switch (decision.type) {
        case 'nothing':
          return;
        case 'move':
          await runEdit(this.#context, editOfMove(decision));
          this.#stats.movedTables += decision.tables.length;
          break;
        case 'compact':
          this.#writing = { ...rangeOf([...decision.upper, ...decision.lower]), level: decision.outputLevel };
          await this.#compact(decision);
          this.#writing = undefined;
          break;
      }
      this.#onDone();
    }
  }

  /**
   * Takes in tables that are newer than all others. What is not seen yet cannot be merged, and must not be written over: so no
   * compaction is begun meanwhile, and the one under way says what it writes.
   */
  async adopt({ tables, valueFiles }: TakenFiles, appliedIndex: LogIndex): Promise<void> {
    const { versions, options, space } = this.#context;
    const edit = (): VersionEdit => {
      const added = placeTables(versions.current.levels, tables, { options, writing: this.#writing });
      return { removed: [], added, addedValues: valueFiles, appliedIndex };
    };
    await space.run('ingestion', async () => {
      this.#isHeld = true;
      try {
        await versions.apply(edit);
      } finally {
        this.#isHeld = false;
        this.#onDone();
      }
    });
  }

  async #compact(decision: CompactDecision): Promise<void> {
    const { versions, resources, space, closing } = this.#context;
    const startMs = resources.clock.monotonicMs();
    const { level, outputLevel, upper, lower } = decision;
    const readBytes = totalBytes(upper) + totalBytes(lower);
    await resources.compactionThrottle?.admit(readBytes, closing);
    const output = await space.run('compaction', () => this.#merge(decision));
    const valuesBefore = versions.current.valueFiles;
    await runEdit(this.#context, editOfMerge(decision, output));
    const tableBytes = totalBytes(output.tables);
    const collectedBytes = totalFileBytes(output.valueFiles);
    resources.compactionThrottle?.giveBack(readBytes - tableBytes);
    resources.compactionThrottle?.charge(collectedBytes);
    const tookMs = resources.clock.monotonicMs() - startMs;
    this.#level0Rate.add(level === 0 ? rawBytes(upper) : 0, tookMs);
    this.#lastLevelRate.add(outputLevel === lastLevel ? rawBytes(upper) : 0, tookMs);
    this.#valueRate.add(Math.max(0, bytesGone(valuesBefore, versions.current.valueFiles) - collectedBytes), tookMs);
    this.#stats.compactions++;
    this.#stats.compactionReadBytes += readBytes;
    this.#stats.compactionWrittenBytes += tableBytes + collectedBytes;
    this.#stats.collectedBytes += collectedBytes;
    this.#stats.compactionDroppedEntries += output.entriesDropped;
    resources.logger.debug('tables compacted', {
      directory: versions.directory,
      level,
      outputLevel,
      inputs: upper.length + lower.length,
      outputs: output.tables.length,
      readBytes,
      writtenBytes: tableBytes + collectedBytes,
      ms: tookMs,
    });
  }

  #merge(decision: CompactDecision): Promise<CompactOutput> {
    const { memtables, versions, resources, options, closing } = this.#context;
    const { outputLevel } = decision;
    const sstableBytesTarget = tableBytesTarget(options, outputLevel);
    const safePoint = this.#context.safePoint();
    // Only this compaction changes the levels that it reads; flushes add to level 0 meanwhile what is not its business.
    const plan = planMerge(versions.current.levels, decision, {
      safePoint,
      memtableVersionMin: memtables.smallestVersion,
      sstableBytesTarget,
    });
    const { valueFiles } = versions.current;
    const collected = this.#filesToCollect();
    const firstOutputNumber = versions.takeFileNumbers(plan.outputsMax + 1);
    const input: CompactInput = {
      ...plan,
      ...tableOptions(options, outputLevel),
      directory: versions.directory,
      firstOutputNumber,
      valueFileNumber: firstOutputNumber + plan.outputsMax,
      collected: [...collected].map((number) => defined(valueFiles.get(number), 'a value file').metadata),
      collectedBytesMax: options.collectedBytesMax,
      safePoint,
      sstableBytesTarget,
    };
    return resources.background.run<CompactInput, CompactOutput>({ type: compactJobType, input }, closing);
  }
}

/** Of keys and values, as they were written. */
function rawBytes(tables: readonly TableMetadata[]): number {
  return tables.reduce((sum, table) => sum + table.rawBytes, 0);
}

function bytesGone(before: ValueFiles, after: ValueFiles): number {
  let bytes = 0;
  for (const [number, { metadata }] of before) if (!after.has(number)) bytes += metadata.bytes;
  return bytes;
}
