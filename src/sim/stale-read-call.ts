import { operationMsMax, patienceMs } from './attempts.js';
import type { Workload } from './workload.js';

/** One stale read of one key, wherever it may be read. A replica that cannot show how current it is refuses. */
export function readStale(workload: Workload, next: () => void): void {
  const { cluster, counts, seen } = workload;
  const key = workload.drawKey();
  const calledMs = cluster.scheduler.nowMs;
  let ended = false;
  const end = (): void => {
    if (!ended) next();
    ended = true;
  };
  const operation = { type: 'get', key: workload.keyBytes(key), consistency: 'stale' } as const;
  const isTaken = cluster.submit(workload.drawNode(), operation, operationMsMax, (result) => {
    if (result.type === 'found' || result.type === 'absent') {
      counts.staleReads++;
      const returnedMs = cluster.scheduler.nowMs;
      const version = result.type === 'found' ? result.version : 0;
      if (result.type === 'found') seen.saw({ key, version, value: workload.valueOf(result.value) });
      seen.staleReads.push({ key, version, calledMs, returnedMs });
    } else {
      counts.staleReadsRefused++;
    }
    end();
  });
  if (!isTaken) end();
  else cluster.scheduler.schedule(patienceMs, 'a stale reader gives up', end);
}
