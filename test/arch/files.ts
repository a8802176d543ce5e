/** Walks the repository for the rules about files. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

const skipped: ReadonlySet<string> = new Set([
  'node_modules',
  'dist',
  '.git',
  '.quorate',
  'coverage',
  'testdata',
  'gen',
]);

/** Paths under `folder` whose names end with `extension`, relative to the repository, sorted. */
export function filesUnder(folder: string, extension: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (skipped.has(entry.name)) continue;
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) found.push(...filesUnder(path, extension));
    else if (entry.name.endsWith(extension)) found.push(path);
  }
  return found.sort();
}

/** Names of the folders directly under `folder`. */
export function foldersUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !skipped.has(entry.name))
    .map((entry) => entry.name);
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
