/** `quorate import`: writes the records of a file. */
import { createReadStream, statSync } from 'node:fs';

import { CommandFailure, describeFailure } from '../failure.js';
import { formatOf, importFormats, readerOf, type ImportFormat } from '../import/formats.js';
import { Importer, type ImportFailure, type ImportResult } from '../import/importer.js';
import { createProgress, describeCounts, recordsPerSecond } from '../import/progress.js';
import { printJson, printLine } from '../output.js';
import { withClient, type CommandContext } from '../session.js';

export interface ImportOptions {
  /** Default: by the file's extension. */
  readonly format: ImportFormat | undefined;
  /** CSV and TSV: the first line is data, key first and value second. */
  readonly noHeader: boolean;
  readonly skipBadLines: boolean;
  /** Time that one record may take, retries included: as long as a failover with margin. */
  readonly recordTimeoutMs: number;
  readonly inFlight: number;
}

const bytesInFlightMax = 16 * 1024 * 1024;

const guessHint = '; standard input is taken for ndjson unless --format says csv or tsv';

/** `file` `-` is standard input. */
export function importRecords(context: CommandContext, file: string, options: ImportOptions): Promise<number> {
  const format = options.format ?? formatOf(file);
  if (format === undefined) {
    throw new CommandFailure(`what ${file} holds is not clear from its name: --format ${importFormats.join('|')}`);
  }
  const input = openInput(file);
  return withClient(context, async (client) => {
    const startMs = performance.now();
    const progress = createProgress({
      totalBytes: input.totalBytes,
      readBytes: input.readBytes,
      monotonicMs: () => performance.now(),
      stream: process.stderr,
    });
    const importer = new Importer(
      { operationsInFlightMax: options.inFlight, bytesInFlightMax, skipBadLines: options.skipBadLines },
      {
        put: async ({ key, value }) => {
          await client.put(key, value, { deadlineMs: options.recordTimeoutMs });
        },
        onProgress: (counts) => progress.update(counts),
      },
    );
    const result = await importer.run(readerOf(format, options.noHeader)(input.chunks)).finally(() => progress.stop());
    const isGuessed = file === '-' && options.format === undefined;
    await report(context, result, { elapsedMs: performance.now() - startMs, isGuessed });
    return 0;
  });
}

interface Run {
  readonly elapsedMs: number;
  /** Nobody said what the input's format is. */
  readonly isGuessed: boolean;
}

async function report(context: CommandContext, result: ImportResult, { elapsedMs, isGuessed }: Run): Promise<void> {
  const { records, bytes, skipped, failure } = result;
  for (const { line, reason } of result.skippedLines) process.stderr.write(`line ${line} skipped: ${reason}\n`);
  if (failure !== undefined) {
    const hint = isGuessed && failure.type === 'badLine' ? guessHint : '';
    const shown = `${describeImportFailure(failure)}${hint}`;
    throw new CommandFailure(`${shown} (${records} records were written; importing again is safe)`);
  }
  if (context.json) {
    const rate = recordsPerSecond(result, elapsedMs);
    await printJson({ records, bytes, skipped, seconds: Math.round(elapsedMs) / 1000, recordsPerSecond: rate });
    return;
  }
  const lines = skipped === 0 ? '' : `, ${skipped} lines skipped`;
  await printLine(`imported ${describeCounts(result, elapsedMs)}, in ${(elapsedMs / 1000).toFixed(1)} s${lines}`);
}

function describeImportFailure(failure: ImportFailure): string {
  switch (failure.type) {
    case 'badLine':
      return `line ${failure.bad.line}: ${failure.bad.reason}`;
    case 'writeFailed':
      return `line ${failure.line}: ${describeFailure(failure.error)}`;
  }
}

interface Input {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Undefined for standard input and pipes. */
  readonly totalBytes: number | undefined;
  readonly readBytes: () => number;
}

function openInput(file: string): Input {
  let read = 0;
  async function* counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      read += chunk.length;
      yield chunk;
    }
  }
  const readBytes = (): number => read;
  if (file === '-') return { chunks: counted(process.stdin), totalBytes: undefined, readBytes };
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) throw new Error('it is a folder');
    return { chunks: counted(createReadStream(file)), totalBytes: stat.isFile() ? stat.size : undefined, readBytes };
  } catch (error) {
    throw new CommandFailure(`cannot read ${file}: ${(error as Error).message}`);
  }
}
