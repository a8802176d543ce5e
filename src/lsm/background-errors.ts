import { DiskError } from '../env/disk.js';

/** The tree was closed before the work was done; nothing is wrong. */
export class TreeClosedError extends Error {
  override readonly name = 'TreeClosedError';
}

/** Whether the work may succeed once there is space on the disk again. */
export function isNoSpace(error: unknown): boolean {
  return error instanceof DiskError && error.code === 'noSpace';
}
