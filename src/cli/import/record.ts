/** One record of an import file, as every format delivers it. */
export interface ImportRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Line of the file where it begins, from 1. */
  readonly line: number;
}

/** A line that is no record, and why. */
export interface BadLine {
  readonly line: number;
  readonly reason: string;
}

export type ImportItem =
  | { readonly type: 'record'; readonly record: ImportRecord }
  /** This line cannot be used; the reader goes on with the next one. */
  | { readonly type: 'bad'; readonly bad: BadLine }
  /** From this line on nothing can be used; the last item. */
  | { readonly type: 'unreadable'; readonly bad: BadLine };

export type ImportReader = (input: AsyncIterable<Uint8Array>) => AsyncIterable<ImportItem>;

/** Longest line that is held in memory: a value of the maximal 1 MiB, every byte of it escaped as `\u0000`, and its key. */
export const lineBytesMax = 8 * 1024 * 1024;
