import { CorruptionError } from '../base/errors.js';
import { DiskError } from '../env/disk.js';

/** The tree was closed before the work was done; nothing is wrong. */
export class TreeClosedError extends Error {
  override readonly name = 'TreeClosedError';
}

/** Whether the work may succeed once there is space on the disk again. Errors of jobs may have lost their class. */
export function isNoSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === ('noSpace' satisfies DiskError['code']);
}

/** An error of a job that ran in another thread, with the class that callers tell it by. */
export function reviveJobError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (error instanceof CorruptionError || error instanceof DiskError) return error;
  if ('file' in error && 'offset' in error && typeof error.file === 'string' && typeof error.offset === 'number') {
    return new CorruptionError(error.file, error.offset, error.message, error);
  }
  return error;
}
