/** Which reader takes an import file. */
import { extname } from 'node:path';

import { readDelimited } from './delimited.js';
import { readNdjson } from './ndjson.js';
import type { ImportReader } from './record.js';

export const importFormats = ['ndjson', 'csv', 'tsv'] as const;
export type ImportFormat = (typeof importFormats)[number];

const formatByExtension: Readonly<Record<string, ImportFormat>> = {
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
  '.json': 'ndjson',
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.tab': 'tsv',
};

/** By extension; standard input is taken for NDJSON. Undefined when nothing is known. */
export function formatOf(file: string): ImportFormat | undefined {
  return file === '-' ? 'ndjson' : formatByExtension[extname(file).toLowerCase()];
}

export function readerOf(format: ImportFormat, noHeader: boolean): ImportReader {
  switch (format) {
    case 'ndjson':
      return readNdjson;
    case 'csv':
      return (input) => readDelimited(input, { delimiter: ',', noHeader });
    case 'tsv':
      return (input) => readDelimited(input, { delimiter: '\t', noHeader });
  }
}
