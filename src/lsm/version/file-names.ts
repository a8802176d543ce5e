/** Names of the files in a tree's folder. */

export const currentFileName = 'CURRENT';

export type TreeFile =
  | { readonly type: 'manifest'; readonly number: number }
  | { readonly type: 'table'; readonly number: number }
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
  return { type: 'foreign' };
}
