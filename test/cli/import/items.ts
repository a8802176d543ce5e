import type { ImportItem } from '../../../src/cli/import/record.js';
import { escapeBytes } from '../../../src/cli/text.js';

/** `bytes` as a stream of chunks of this size. */
export async function* chunked(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield await Promise.resolve(bytes.slice(at, at + chunkBytes));
}

export async function collect(items: AsyncIterable<ImportItem>): Promise<ImportItem[]> {
  const all: ImportItem[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** `line: key=value` or `line: reason` for each. */
export function summary(items: readonly ImportItem[]): string[] {
  return items.map((item) =>
    item.type === 'record'
      ? `${item.record.line}: ${escapeBytes(item.record.key)}=${escapeBytes(item.record.value)}`
      : `${item.bad.line}: ${item.bad.reason}`,
  );
}
