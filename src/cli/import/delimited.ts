/**
 * CSV and TSV through csv-parse. CSV is RFC 4180: quoted fields may hold delimiters, line ends and doubled quotes. TSV
 * (IANA text/tab-separated-values) knows no quotes and no escapes: every byte between two tabs is the field's. Lines end
 * with LF or CRLF. The first line names the columns, of which `key` and `value` are taken; without a header the first
 * two fields are. docs/decisions/2026-11-21-tsv-without-quotes.md says why.
 */
import { Readable } from 'node:stream';

import { type CsvError, parse } from 'csv-parse';

import { textOf } from '../text.js';
import { lineBytesMax, type ImportItem } from './record.js';

export interface DelimitedOptions {
  readonly delimiter: ',' | '\t';
  /** The first line is data: the first field of each line is the key, the second the value. */
  readonly noHeader: boolean;
}

/** What csv-parse gives with `info` and `encoding: null`. */
interface ParsedLine {
  readonly record: readonly Buffer[];
  readonly info: { readonly lines: number };
}

interface Columns {
  readonly key: number;
  readonly value: number;
  readonly count: number | undefined;
}

export async function* readDelimited(
  input: AsyncIterable<Uint8Array>,
  { delimiter, noHeader }: DelimitedOptions,
): AsyncGenerator<ImportItem> {
  const parser = parse({
    delimiter,
    bom: true,
    encoding: null,
    info: true,
    max_record_size: lineBytesMax,
    quote: delimiter === ',' ? '"' : false,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
  });
  const source = Readable.from(input, { objectMode: false });
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  /** With `skip_records_with_error`, so that the records before it come out first; those after it mean nothing. */
  let broken: CsvError | undefined;
  parser.on('skip', (error: CsvError) => (broken ??= error));
  let columns: Columns | undefined = noHeader ? { key: 0, value: 1, count: 2 } : undefined;
  /** csv-parse counts the lines that it has read; a record begins after those of the one before. */
  let linesBefore = 0;
  /** It counts a CRLF in a quoted field twice. */
  let linesDoubled = 0;
  try {
    for await (const { record, info } of parser as AsyncIterable<ParsedLine>) {
      const line = linesBefore + 1 - linesDoubled;
      if (broken !== undefined && linesBefore + 1 >= Number(broken.lines)) break;
      linesBefore = info.lines;
      linesDoubled += countCrlf(record);
      if (columns !== undefined) {
        yield toItem(record, columns, line);
        continue;
      }
      columns = findColumns(record);
      if (columns === undefined) {
        yield unreadable(line, 'the header must name the columns key and value (or use --no-header)');
        return;
      }
    }
    if (broken !== undefined) yield unreadable(Number(broken.lines) - linesDoubled, broken.message);
  } finally {
    source.destroy();
  }
}

function countCrlf(fields: readonly Buffer[]): number {
  let count = 0;
  for (const field of fields) for (let at = field.indexOf('\r\n'); at >= 0; at = field.indexOf('\r\n', at + 2)) count++;
  return count;
}

function findColumns(header: readonly Buffer[]): Columns | undefined {
  const names = header.map((name) => textOf(name)?.trim().toLowerCase());
  const key = names.indexOf('key');
  const value = names.indexOf('value');
  return key < 0 || value < 0 ? undefined : { key, value, count: header.length };
}

function toItem(fields: readonly Buffer[], columns: Columns, line: number): ImportItem {
  if (fields.length !== columns.count) return bad(line, `${fields.length} fields where ${columns.count} were expected`);
  const key = fields[columns.key];
  if (key.length === 0) return bad(line, 'the key is empty');
  return { type: 'record', record: { key, value: fields[columns.value], line } };
}

function bad(line: number, reason: string): ImportItem {
  return { type: 'bad', bad: { line, reason } };
}

function unreadable(line: number, reason: string): ImportItem {
  return { type: 'unreadable', bad: { line, reason } };
}
