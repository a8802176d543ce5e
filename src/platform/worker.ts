import { parentPort } from 'node:worker_threads';
import { assert, defined } from '../base/assert.js';
import type { JobTable } from '../env/background.js';
import type { Disk } from '../env/disk.js';
import { encodeError } from './worker-errors.js';
import type { WorkerReply, WorkerRequest } from './worker-messages.js';

/** The worker's side of a `WorkerPool`: runs what the pool sends, until the pool has the thread end. */
export function serveJobs(table: JobTable, disk: Disk): void {
  const port = defined(parentPort, 'the port to the main thread (serveJobs runs in worker threads only)');
  let running: AbortController | undefined;
  let isEnding = false;

  const run = async (type: string, input: unknown, signal: AbortSignal): Promise<WorkerReply> => {
    try {
      const handler = defined(table[type], `the code of background job ${type}`);
      return { type: 'done', output: await handler(input as never, disk, signal) };
    } catch (error) {
      return { type: 'failed', error: encodeError(error) };
    }
  };

  const answer = (reply: WorkerReply): void => {
    running = undefined;
    try {
      port.postMessage(reply);
    } catch (error) {
      // The output cannot be cloned.
      port.postMessage({ type: 'failed', error: encodeError(error) } satisfies WorkerReply);
    }
    if (isEnding) port.close();
  };

  port.on('message', (request: WorkerRequest) => {
    switch (request.type) {
      case 'run':
        assert(running === undefined, 'a worker thread runs one job at a time');
        running = new AbortController();
        void run(request.job.type, request.job.input, running.signal).then(answer);
        break;
      case 'cancel':
        running?.abort();
        break;
      case 'end':
        // The thread ends by itself when nothing is left that could call it.
        isEnding = true;
        if (running === undefined) port.close();
        break;
    }
  });
}
