import type { Job } from './background.js';

type Kind = Pick<Job<unknown>, 'isUrgent'>;

/**
 * Which of the jobs that wait begins now, by its place; undefined when none may. There is one thread for urgent jobs, and `size` for the
 * others: so a flush never waits for a compaction, nor do the flushes of many trees keep compactions waiting. Each goes in its turn.
 */
export function nextJob(waiting: readonly Kind[], running: readonly Kind[], size: number): number | undefined {
  const urgentRunning = running.filter(({ isUrgent }) => isUrgent === true).length;
  const hasRoom = { urgent: urgentRunning === 0, other: running.length - urgentRunning < size };
  const next = waiting.findIndex(({ isUrgent }) => (isUrgent === true ? hasRoom.urgent : hasRoom.other));
  return next < 0 ? undefined : next;
}
