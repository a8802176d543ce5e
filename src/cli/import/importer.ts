/**
 * Writes the records of an import, many at a time.
 *
 * Invariants:
 * - at most `operationsInFlightMax` writes and about `bytesInFlightMax` of their bytes are under way;
 * - of two records with one key the later line is written after the earlier one was acknowledged, so it wins;
 * - after the first failure nothing new starts, and `run` returns only when nothing is under way.
 */
import { mapKey } from '../../base/bytes.js';
import { deferred } from '../../base/promises.js';
import type { BadLine, ImportItem, ImportRecord } from './record.js';

export interface ImporterOptions {
  readonly operationsInFlightMax: number;
  readonly bytesInFlightMax: number;
  /** Count lines that cannot be used instead of stopping at the first. */
  readonly skipBadLines: boolean;
}

/** `put` resolves when the record is written for good. */
export interface ImporterDependencies {
  readonly put: (record: ImportRecord) => Promise<void>;
  readonly onProgress: (counts: ImportCounts) => void;
}

export interface ImportCounts {
  /** Records that were acknowledged. */
  readonly records: number;
  /** Bytes of their keys and values. */
  readonly bytes: number;
  /** Lines that could not be used. */
  readonly skipped: number;
}

/** Why an import ended early. */
export type ImportFailure =
  | { readonly type: 'badLine'; readonly bad: BadLine }
  | { readonly type: 'writeFailed'; readonly line: number; readonly error: unknown };

export interface ImportResult extends ImportCounts {
  readonly failure: ImportFailure | undefined;
  /** The first few lines that were skipped. */
  readonly skippedLines: readonly BadLine[];
}

const skippedLinesMax = 10;

export class Importer {
  readonly #options: ImporterOptions;
  readonly #dependencies: ImporterDependencies;
  readonly #inFlight = new Map<string, Promise<void>>();
  readonly #skippedLines: BadLine[] = [];
  /** Resolved by the next write that ends. */
  #writeEnded = deferred<undefined>();
  #bytesInFlight = 0;
  #records = 0;
  #bytes = 0;
  #skipped = 0;
  #failure: ImportFailure | undefined;

  constructor(options: ImporterOptions, dependencies: ImporterDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  async run(items: AsyncIterable<ImportItem>): Promise<ImportResult> {
    try {
      for await (const item of items) {
        await this.#take(item);
        if (this.#failure !== undefined) break;
      }
    } finally {
      await Promise.all(this.#inFlight.values());
    }
    return { ...this.#counts(), failure: this.#failure, skippedLines: this.#skippedLines };
  }

  async #take(item: ImportItem): Promise<void> {
    switch (item.type) {
      case 'record':
        await this.#start(item.record);
        break;
      case 'bad':
        if (this.#options.skipBadLines) this.#skip(item.bad);
        else this.#failure ??= { type: 'badLine', bad: item.bad };
        break;
      case 'unreadable':
        this.#failure ??= { type: 'badLine', bad: item.bad };
        break;
    }
  }

  #skip(bad: BadLine): void {
    this.#skipped++;
    if (this.#skippedLines.length < skippedLinesMax) this.#skippedLines.push(bad);
  }

  async #start(record: ImportRecord): Promise<void> {
    const name = mapKey(record.key);
    const bytes = record.key.length + record.value.length;
    await this.#inFlight.get(name);
    while (this.#inFlight.size > 0 && !this.#hasRoom(bytes)) {
      this.#writeEnded = deferred();
      await this.#writeEnded.promise;
    }
    if (this.#failure !== undefined) return;
    this.#bytesInFlight += bytes;
    this.#inFlight.set(name, this.#write(record, name, bytes));
  }

  #hasRoom(bytes: number): boolean {
    const { operationsInFlightMax, bytesInFlightMax } = this.#options;
    return this.#inFlight.size < operationsInFlightMax && this.#bytesInFlight + bytes <= bytesInFlightMax;
  }

  /** Never rejects. */
  async #write(record: ImportRecord, name: string, bytes: number): Promise<void> {
    try {
      await this.#dependencies.put(record);
      this.#records++;
      this.#bytes += bytes;
      this.#dependencies.onProgress(this.#counts());
    } catch (error) {
      this.#failure ??= { type: 'writeFailed', line: record.line, error };
    }
    this.#bytesInFlight -= bytes;
    this.#inFlight.delete(name);
    this.#writeEnded.resolve(undefined);
  }

  #counts(): ImportCounts {
    return { records: this.#records, bytes: this.#bytes, skipped: this.#skipped };
  }
}
