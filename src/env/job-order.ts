import type { Job } from './background.js';

type Kind = Pick<Job<unknown>, 'isUrgent'>;

/**
 * Which of the jobs that wait begins now, by its place; undefined when none may. There are threads for `size` jobs and one
 * more. Urgent jobs go first, and otherwise each goes in its turn; but neither kind takes the last thread while the other
 * has none. So a flush never waits for a compaction, nor do the flushes of many trees keep compactions waiting for ever.
 */
export function nextJob(waiting: readonly Kind[], running: readonly Kind[], size: number): number | undefined {
  if (running.length > size) return undefined;
  const ordinaryRunning = running.filter(({ isUrgent }) => isUrgent !== true).length;
  const urgent = waiting.findIndex(({ isUrgent }) => isUrgent === true);
  const ordinary = ordinaryRunning < size ? waiting.findIndex(({ isUrgent }) => isUrgent !== true) : -1;
  // The last thread belongs to whichever kind has none.
  const isOrdinarys = ordinary >= 0 && running.length === size && ordinaryRunning === 0;
  const next = urgent < 0 || isOrdinarys ? ordinary : urgent;
  return next < 0 ? undefined : next;
}
