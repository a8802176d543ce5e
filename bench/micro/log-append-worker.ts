/** A thread that appends to a log what it is told to: `bytes` of the shared memory, by a message or by `signals`. */
import { parentPort, workerData } from 'node:worker_threads';

import { appendNow, type LogFile } from './log-file.js';

export interface LogWorkerData {
  readonly log: LogFile;
  readonly shared: SharedArrayBuffer;
  /** Two numbers: the bytes to append, 0 for nothing; and how many appends are done. */
  readonly signals: Int32Array<SharedArrayBuffer>;
  readonly wakes: 'messages' | 'Atomics';
}

const { log, shared, signals, wakes } = workerData as LogWorkerData;
const source = new Uint8Array(shared);

parentPort?.postMessage('ready');
if (wakes === 'messages') {
  parentPort?.on('message', (bytes: number) => {
    appendNow(log, source.subarray(0, bytes));
    parentPort?.postMessage('done');
  });
} else {
  for (;;) {
    Atomics.wait(signals, 0, 0);
    const bytes = Atomics.exchange(signals, 0, 0);
    appendNow(log, source.subarray(0, bytes));
    Atomics.add(signals, 1, 1);
    Atomics.notify(signals, 1);
  }
}
