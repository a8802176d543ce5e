/**
 * Loaded into our nodes' processes (`node --import`): counts syncs and garbage collection, watches the event loop and
 * takes processor profiles, for whoever asks at a socket in the folder that BENCH_PROBE_FOLDER names. So no counter has to be
 * in the product for the benchmark's sake.
 */
import fs, { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

import { probeSocket, type ProbeAnswer, type ProbeRequest } from './probe-messages.js';

/** A timer so often, which costs little of a core. */
const resolutionMs = 10;

const { BENCH_PROBE_FOLDER: folder } = process.env;
if (isMainThread && folder !== undefined) probe(folder);

function probe(socketFolder: string): void {
  let syncs = 0;
  let gcMs = 0;
  const { fdatasync } = fs;
  const counted = (fd: number, callback: fs.NoParamCallback): void => {
    syncs++;
    fdatasync(fd, callback);
  };
  fs.fdatasync = Object.assign(counted, { __promisify__: fdatasync.__promisify__ });
  syncBuiltinESMExports();
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gcMs += duration;
  }).observe({ entryTypes: ['gc'] });
  const loop = monitorEventLoopDelay({ resolution: resolutionMs });
  loop.enable();
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
    const loopDelayP99Ms = Math.max(0, loop.percentile(99) / 1e6 - resolutionMs);
    loop.reset();
    return { syncs, gcMs, loopDelayP99Ms };
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
