/** `quorate export`: every record of one read snapshot as NDJSON, in key order; what `import` reads. */
import type { ScanRecord } from '../../client/index.js';
import { writeOut } from '../output.js';
import { withClient, type CommandContext } from '../session.js';
import { jsonField } from '../text.js';

export interface ExportOptions {
  readonly prefix: Uint8Array | undefined;
  /** For the whole export. */
  readonly deadlineMs: number;
}

/** Lines are written together when there are this many characters of them. */
const chunkLength = 64 * 1024;

export function exportRecords(context: CommandContext, options: ExportOptions): Promise<number> {
  return withClient(context, async (client) => {
    let lines = '';
    for await (const record of client.scan({ prefix: options.prefix, deadlineMs: options.deadlineMs })) {
      lines += exportLine(record);
      if (lines.length < chunkLength) continue;
      await writeOut(lines);
      lines = '';
    }
    await writeOut(lines);
    return 0;
  });
}

/** What `JSON.stringify({ key, value })` gives, and a line feed. */
export function exportLine({ key, value }: Pick<ScanRecord, 'key' | 'value'>): string {
  return `${JSON.stringify({ ...jsonField('key', key), ...jsonField('value', value) })}\n`;
}
