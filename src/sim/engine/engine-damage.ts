/** Ways in which the files of a closed tree can be damaged, and what an examination may find then. */
import type { Prng } from '../../base/prng.js';
import { CorruptionError } from '../../base/errors.js';
import { TreeInspection } from '../../lsm/tree-inspection.js';
import { readManifest } from '../../lsm/version/manifest-reader.js';
import type { SimDisk } from '../disk.js';
import { requireThat } from './disagreement.js';

const damageTypes = ['flip', 'zeroPage', 'swapWithin', 'swapBetween', 'truncate', 'remove', 'swapFiles'] as const;

/** Damages some file of a sound tree where it matters; says what it did, or undefined if nothing has changed. */
export async function damageFiles(disk: SimDisk, directory: string, random: Prng): Promise<string | undefined> {
  const [path, other] = random.shuffle(await filesThatMatter(disk, directory));
  const content = disk.content(path);
  const type = random.pick(damageTypes);
  const offset = random.int(0, content.length - 1);
  switch (type) {
    case 'flip':
      disk.corrupt(path, offset, 1 << random.int(0, 7));
      return `flip of byte ${offset} of ${path}`;
    case 'zeroPage': {
      const length = Math.min(content.length - offset, random.pick([1, 16, 512, 4096]));
      if (content.subarray(offset, offset + length).every((byte) => byte === 0)) return undefined;
      disk.overwrite(path, offset, new Uint8Array(length));
      return `${length} zeros from byte ${offset} of ${path} on`;
    }
    case 'swapWithin':
    case 'swapBetween': {
      const target = type === 'swapWithin' ? path : other;
      const there = disk.content(target);
      const length = random.int(1, Math.min(600, content.length, there.length) >> 1);
      const from = random.int(0, content.length - length);
      const to = random.int(0, there.length - length);
      const [a, b] = [content.slice(from, from + length), there.slice(to, to + length)];
      if (Buffer.compare(a, b) === 0 || (target === path && Math.abs(from - to) < length)) return undefined;
      disk.overwrite(path, from, b);
      disk.overwrite(target, to, a);
      return `swap of ${length} bytes at ${from} of ${path} and at ${to} of ${target}`;
    }
    case 'truncate': {
      const file = await disk.open(path, 'readWrite');
      await file.truncate(offset);
      await file.close();
      return `cut of ${path} to ${offset} bytes`;
    }
    case 'remove':
      await disk.remove(path);
      return `removal of ${path}`;
    case 'swapFiles':
      if (Buffer.compare(content, disk.content(other)) === 0) return undefined;
      await disk.rename(path, 'aside');
      await disk.rename(other, path);
      await disk.rename('aside', other);
      return `swap of ${path} and ${other}`;
  }
}

/** Without those that no manifest names, and without what a manifest has beyond the bytes that count. */
async function filesThatMatter(disk: SimDisk, directory: string): Promise<string[]> {
  const { pointer } = await readManifest(disk, directory);
  const { strayPaths, manifestPath } = await TreeInspection.open(disk, directory);
  const manifest = await disk.open(manifestPath, 'readWrite');
  await manifest.truncate(pointer.length);
  await manifest.close();
  return disk.paths().filter((path) => path.startsWith(`/${directory}/`) && !strayPaths.includes(path.slice(1)));
}

/** What `quorate storage verify` finds. Whatever else is thrown is a defect. */
export async function inspect(disk: SimDisk, directory: string): Promise<readonly CorruptionError[]> {
  let inspection: TreeInspection;
  try {
    inspection = await TreeInspection.open(disk, directory);
  } catch (error) {
    return [corruptionIn(directory, error)];
  }
  await using tree = inspection;
  return await tree.verify();
}

/** Rethrows what is not an error of damage, or does not say where it is. */
export function corruptionIn(directory: string, error: unknown): CorruptionError {
  if (!(error instanceof CorruptionError)) throw error;
  requireThat(error.file.startsWith(`${directory}/`), `damage is said to be in ${error.file}`);
  requireThat(error.offset >= 0, `damage is said to be at byte ${error.offset} of ${error.file}`);
  return error;
}
