/**
 * Loaded into all threads of our nodes' processes (`node --import`): counts syncs and garbage collection, watches the event loop and
 * takes processor profiles, for whoever asks at a socket in the folder that BENCH_PROBE_FOLDER names. So no counter has to be
 * in the product for the benchmark's sake.
 */
import fs, { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import { PerformanceObserver } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

import { LoopWatch } from './loop-watch.js';
import { probeSocket, type ProbeAnswer, type ProbeRequest } from './probe-messages.js';
import { ThreadCounters } from './thread-counters.js';

const { BENCH_PROBE_FOLDER: folder } = process.env;
if (folder !== undefined) {
  const counters = new ThreadCounters();
  countSyncs(counters);
  countGc(counters);
  if (isMainThread) answerAt(folder, counters);
}

function answerAt(socketFolder: string, counters: ThreadCounters): void {
  const loop = new LoopWatch();
  let session: Session | undefined;

  const answer = async (request: ProbeRequest): Promise<ProbeAnswer> => {
    if (request.type === 'startProfile') {
      session = new Session();
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
    } else if (request.type === 'stopProfile' && session !== undefined) {
      const { profile } = await session.post('Profiler.stop');
      writeFileSync(request.file, JSON.stringify(profile));
      session.disconnect();
      session = undefined;
    }
    const delays = request.type === 'counters' ? loop.look({ watches: request.watchesLoop }) : undefined;
    const { heapUsed, heapTotal, arrayBuffers } = process.memoryUsage();
    const memory = { heapUsedBytes: heapUsed, heapBytes: heapTotal, arrayBytes: arrayBuffers };
    return { ...counters.read(), ...delays, ...memory };
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => (received += text));
    socket.on('end', () => {
      void answer(JSON.parse(received) as ProbeRequest).then((reply) => socket.end(JSON.stringify(reply)));
    });
  });
  server.listen(probeSocket(socketFolder, process.pid)).unref();
}

type Callback = (error: Error | null, result?: unknown) => void;

function countGc(counters: ThreadCounters): void {
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) counters.addGc(duration);
  }).observe({ entryTypes: ['gc'] });
}

/** Syncs, and writes to files whose every write is one. */
function countSyncs(counters: ThreadCounters): void {
  const { open, write, fdatasync } = fs;
  const writtenThrough = new Set<number>();
  Object.assign(fs, {
    open: (path: string, flags: string | number, done: (error: Error | null, fd: number) => void) => {
      open(path, flags, (error, fd) => {
        if (typeof flags === 'number' && (flags & fs.constants.O_DSYNC) !== 0) writtenThrough.add(fd);
        else writtenThrough.delete(fd);
        done(error, fd);
      });
    },
    write: (fd: number, bytes: Uint8Array, from: number, length: number, offset: number, done: Callback) => {
      if (writtenThrough.has(fd)) counters.addSync();
      write(fd, bytes, from, length, offset, done);
    },
    fdatasync: (fd: number, done: Callback) => {
      counters.addSync();
      fdatasync(fd, done);
    },
  });
  syncBuiltinESMExports();
}
