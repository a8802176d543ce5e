/**
 * How `quorate dev start` in one terminal reaches `quorate dev` in another: it puts a file `start-N` into the folder
 * `control/` of the data directory, and the running `quorate dev` takes it away when it starts node N. When a node has
 * ended it puts a file `ended-N` there. Files work wherever the data does; no port to choose, no path to fit into a
 * socket's name, and nothing to clean up after a crash.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { onAbort } from '../../base/abort.js';
import { devNodeIds } from './layout.js';

const pollMs = 200;
const takenWithinMs = 3000;

function controlFolder(folder: string): string {
  return join(folder, 'control');
}

function requestFile(folder: string, id: number): string {
  return join(controlFolder(folder), `start-${id}`);
}

function endedFile(folder: string, id: number): string {
  return join(controlFolder(folder), `ended-${id}`);
}

/** The process of node `id` has ended. No effect where nobody watches. */
export async function noteEnded(folder: string, id: number): Promise<void> {
  await writeFile(endedFile(folder, id), '').catch(() => undefined);
}

/** Whether the process of node `id` has ended since its start was asked for. */
export async function hasEnded(folder: string, id: number): Promise<boolean> {
  return (await readdir(controlFolder(folder)).catch(() => [] as string[])).includes(`ended-${id}`);
}

export interface StartRequestHandler {
  /** From now on requests are taken. */
  onWatching?(): void;
  start(id: number): void;
}

/** Hands over each request that comes from now on; those from before are forgotten. Ends when `signal` is aborted. */
export async function watchStartRequests(
  folder: string,
  handler: StartRequestHandler,
  signal: AbortSignal,
): Promise<void> {
  await rm(controlFolder(folder), { recursive: true, force: true });
  await mkdir(controlFolder(folder), { recursive: true });
  handler.onWatching?.();
  while (!signal.aborted) {
    const names = await readdir(controlFolder(folder)).catch(() => [] as string[]);
    for (const id of devNodeIds) {
      if (!names.includes(`start-${id}`)) continue;
      await rm(endedFile(folder, id), { force: true });
      await rm(requestFile(folder, id), { force: true });
      handler.start(id);
    }
    await pause(signal);
  }
}

/** False when no `quorate dev` took the request. */
export async function requestStart(folder: string, ids: readonly number[]): Promise<boolean> {
  const waiting = new Set(ids);
  const deadline = performance.now() + takenWithinMs;
  try {
    for (const id of ids) await writeFile(requestFile(folder, id), '');
  } catch {
    return false;
  }
  while (waiting.size > 0 && performance.now() < deadline) {
    await pause();
    const names = await readdir(controlFolder(folder)).catch(() => [] as string[]);
    for (const id of waiting) if (!names.includes(`start-${id}`)) waiting.delete(id);
  }
  for (const id of waiting) await rm(requestFile(folder, id), { force: true });
  return waiting.size === 0;
}

function pause(signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      stopListening();
      resolve();
    }, pollMs);
    const stopListening = onAbort(signal, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
