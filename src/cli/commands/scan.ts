/** `quorate scan`: a range, as a table for people or a line of JSON for each record. */
import type { ScanOptions, ScanRecord } from '../../client/index.js';
import { printLine, writeOut } from '../output.js';
import { withClient, type CommandContext } from '../session.js';
import { formatTable } from '../table.js';
import { cut, escapeBytes, jsonField } from '../text.js';

export interface ScanCommandOptions {
  readonly prefix: Uint8Array | undefined;
  readonly start: Uint8Array | undefined;
  readonly end: Uint8Array | undefined;
  /** Default: 100 for a table, all for JSON. */
  readonly limit: number | undefined;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
  readonly stale?: boolean;
}

const tableRecordsDefault = 100;
const keyWidthMax = 48;
const valueWidthMax = 60;

export function scan(context: CommandContext, options: ScanCommandOptions): Promise<number> {
  return withClient(context, async (client) => {
    const { prefix, start, end, reverse, keysOnly = false } = options;
    const consistency = options.stale === true ? 'stale' : 'linearizable';
    const range: ScanOptions = { prefix, start, end, reverse, keysOnly, consistency };
    if (context.json) {
      for await (const record of client.scan({ ...range, limit: options.limit })) {
        await writeOut(`${JSON.stringify(recordToJson(record, keysOnly))}\n`);
      }
      return 0;
    }
    const limit = options.limit ?? tableRecordsDefault;
    const records: ScanRecord[] = [];
    let isCut = false;
    // One more than is shown tells whether there is more.
    for await (const record of client.scan({ ...range, limit: limit + 1 })) {
      isCut = records.length === limit;
      if (!isCut) records.push(record);
    }
    await printLine(scanTable(records, keysOnly));
    const more = isCut && options.limit === undefined ? '; there are more: --limit N, or --json for all' : '';
    process.stderr.write(`${records.length} ${records.length === 1 ? 'record' : 'records'}${more}\n`);
    return 0;
  });
}

export function recordToJson(record: ScanRecord, keysOnly: boolean): Record<string, unknown> {
  const value = keysOnly ? {} : jsonField('value', record.value);
  return { ...jsonField('key', record.key), ...value, version: record.version };
}

export function scanTable(records: readonly ScanRecord[], keysOnly: boolean): string {
  const key = ({ key: bytes }: ScanRecord): string => cut(escapeBytes(bytes), keyWidthMax);
  if (keysOnly) {
    return formatTable(
      [{ title: 'key' }, { title: 'version' }],
      records.map((record) => [key(record), record.version]),
    );
  }
  return formatTable(
    [{ title: 'key' }, { title: 'value' }, { title: 'version' }],
    records.map((record) => [key(record), cut(escapeBytes(record.value), valueWidthMax), record.version]),
  );
}
