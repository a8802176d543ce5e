/** Names of the files in a tree's folder. */

export const currentFileName = 'CURRENT';

export type TreeFile =
  | { readonly type: 'manifest'; readonly number: number }
  | { readonly type: 'table'; readonly number: number }
  | { readonly type: 'values'; readonly number: number }
  | { readonly type: 'current' }
  /** A CURRENT that was not put in place. */
  | { readonly type: 'aside' }
  | { readonly type: 'foreign' };

export function manifestFileName(number: number): string {
  return `manifest-${padded(number)}`;
}

export function tableFileName(number: number): string {
  return `${padded(number)}.sst`;
}

export function valueFileName(number: number): string {
  return `${padded(number)}.val`;
}

function padded(number: number): string {
  return String(number).padStart(6, '0');
}

export function parseFileName(name: string): TreeFile {
  if (name === currentFileName) return { type: 'current' };
  if (name === `${currentFileName}.new`) return { type: 'aside' };
  const manifest = /^manifest-(\d{6,15})$/.exec(name);
  if (manifest !== null) return { type: 'manifest', number: Number(manifest[1]) };
  const table = /^(\d{6,15})\.sst$/.exec(name);
  if (table !== null) return { type: 'table', number: Number(table[1]) };
  const values = /^(\d{6,15})\.val$/.exec(name);
  if (values !== null) return { type: 'values', number: Number(values[1]) };
  return { type: 'foreign' };
}

/**
 * Of the files in a folder: one that shows that a tree was there, though its CURRENT is missing. A first manifest alone
 * does not: a crash may have ended a creation before CURRENT was there. Undefined if there is none, or a CURRENT.
 */
export function fileOfLostTree(names: readonly string[]): string | undefined {
  if (names.includes(currentFileName)) return undefined;
  return names.find((name) => {
    const file = parseFileName(name);
    return file.type === 'table' || file.type === 'values' || (file.type === 'manifest' && file.number > 1);
  });
}
