/**
 * The file DAMAGE: a node has stopped for damage that it met while it ran. A start need not come to that place again, so it would not
 * find it. Written only where the node is to be repaired.
 */
import { fromUtf8, utf8 } from '../../base/bytes.js';
import { CorruptionError, errorOf, QuorateError } from '../../base/errors.js';
import { readWholeFile, replaceFile, type Disk } from '../../env/disk.js';
import type { Env } from '../../env/env.js';
import type { NodeOptions } from '../options.js';

export const damageNoteName = 'DAMAGE';

/** That files of this node are damaged, if that is why `error` came; it may be the cause of what was thrown. */
export function damageIn(error: unknown): CorruptionError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof CorruptionError) return at;
  return undefined;
}

/** Why the node stops, if that is damage and the next start is to repair it. Never rejects: without it, the damage is met again. */
export async function noteDamage(
  { disk, logger }: Pick<Env, 'disk' | 'logger'>,
  { repair, dataDirectory }: Pick<NodeOptions, 'repair' | 'dataDirectory'>,
  failure: Error | undefined,
): Promise<void> {
  const damage = damageIn(failure);
  if (repair === 'manual' || damage === undefined) return;
  try {
    await replaceFile(disk, dataDirectory, damageNoteName, utf8(`${damage.message}\n`));
  } catch (thrown) {
    logger.error('cannot note the damage for the next start', { error: errorOf(thrown).message });
  }
}

/** What was noted; undefined where nothing was. */
export async function notedDamage(disk: Disk, directory: string): Promise<QuorateError | undefined> {
  const path = `${directory}/${damageNoteName}`;
  if (!(await disk.exists(path))) return undefined;
  return new QuorateError('CORRUPTION', fromUtf8(await readWholeFile(disk, path)).trim());
}
