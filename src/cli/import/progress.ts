/** Progress of an import on standard error: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';

import { formatBytes } from '../text.js';
import type { ImportCounts } from './importer.js';

export interface Progress {
  update(counts: ImportCounts): void;
  /** Ends the bar's line. */
  stop(): void;
}

export interface ProgressOptions {
  /** Of the input file; undefined for a stream, whose end is not known. */
  readonly totalBytes: number | undefined;
  /** Input read so far. */
  readonly readBytes: () => number;
  readonly monotonicMs: () => number;
  readonly stream: NodeJS.WriteStream;
}

const lineEveryMs = 5000;

export function createProgress(options: ProgressOptions): Progress {
  return options.stream.isTTY && options.totalBytes !== undefined
    ? new BarProgress(options, options.totalBytes)
    : new LineProgress(options);
}

/** `12345 records (1.2 MiB), 4567 records/s` */
export function describeCounts(counts: ImportCounts, elapsedMs: number): string {
  return `${counts.records} records (${formatBytes(counts.bytes)}), ${recordsPerSecond(counts, elapsedMs)} records/s`;
}

export function recordsPerSecond(counts: ImportCounts, elapsedMs: number): number {
  return Math.round((counts.records * 1000) / Math.max(elapsedMs, 1));
}

class BarProgress implements Progress {
  readonly #bar: SingleBar;
  readonly #options: ProgressOptions;
  readonly #startMs: number;

  constructor(options: ProgressOptions, totalBytes: number) {
    this.#options = options;
    this.#startMs = options.monotonicMs();
    this.#bar = new SingleBar({
      format: '{bar} {percentage}%  {counts}',
      barsize: 30,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      stream: options.stream,
      fps: 5,
    });
    this.#bar.start(totalBytes, 0, { counts: '' });
  }

  update(counts: ImportCounts): void {
    const elapsedMs = this.#options.monotonicMs() - this.#startMs;
    this.#bar.update(this.#options.readBytes(), { counts: describeCounts(counts, elapsedMs) });
  }

  stop(): void {
    this.#bar.stop();
  }
}

class LineProgress implements Progress {
  readonly #options: ProgressOptions;
  readonly #startMs: number;
  #nextMs: number;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startMs = options.monotonicMs();
    this.#nextMs = this.#startMs + lineEveryMs;
  }

  update(counts: ImportCounts): void {
    const now = this.#options.monotonicMs();
    if (now < this.#nextMs) return;
    this.#nextMs = now + lineEveryMs;
    const { totalBytes, readBytes, stream } = this.#options;
    const share = totalBytes === undefined ? '' : `${Math.floor((readBytes() * 100) / Math.max(totalBytes, 1))}%  `;
    stream.write(`${share}${describeCounts(counts, now - this.#startMs)}\n`);
  }

  stop(): void {
    // Every line is complete.
  }
}
