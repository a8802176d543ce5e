/** Jobs of the worker pool's tests. */
import { writeFileSync } from 'node:fs';
import { resourceLimits, threadId } from 'node:worker_threads';
import { AssertionError } from '../../src/base/assert.js';
import { CorruptionError } from '../../src/base/errors.js';
import { utf8 } from '../../src/base/bytes.js';
import { DiskError, readWholeFile, type Disk } from '../../src/env/disk.js';
import { NodeDisk } from '../../src/platform/disk.js';
import { serveJobs } from '../../src/platform/worker.js';

function fail(kind: string): Promise<never> {
  switch (kind) {
    case 'disk':
      throw new DiskError('noSpace', '/data/1.sst', 'write');
    case 'corruption':
      throw new CorruptionError('/data/1.sst', 4096, 'checksum');
    case 'assertion':
      throw new AssertionError('levels overlap');
    case 'coded':
      throw Object.assign(new RangeError('too far'), { code: 'ERR_FAR' });
    case 'text':
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- code that throws what is no error
      throw 'just text';
    default:
      throw new Error(kind);
  }
}

serveJobs(
  {
    double: (input: number) => Promise.resolve(input * 2),
    bytes: (input: Uint8Array) => Promise.resolve(input.map((byte) => byte ^ 0xff)),
    length: (input: ArrayBuffer) => Promise.resolve(input.byteLength),
    thread: () => Promise.resolve(threadId),
    youngGenerationMiB: () => Promise.resolve(resourceLimits.maxYoungGenerationSizeMb),
    fail,
    die: () => process.exit(7),
    throwLater: () => new Promise(() => setImmediate(() => void fail('thrown outside of the job'))),
    notCloneable: () => Promise.resolve(() => undefined),
    file: async (path: string, disk: Disk) => {
      const file = await disk.open(path, 'create');
      await file.write(utf8('by a worker'), 0);
      await file.close();
      return readWholeFile(disk, path);
    },
    noteAtExit: (path: string) => {
      process.once('exit', () => writeFileSync(path, 'by itself'));
      return Promise.resolve();
    },
    untilCancelled: (_input: undefined, _disk: Disk, signal: AbortSignal) =>
      new Promise((_resolve, reject) => {
        // A pending timer keeps the event loop of the thread alive.
        const alive = setInterval(() => undefined, 1000);
        signal.addEventListener('abort', () => {
          clearInterval(alive);
          reject(new Error('the job was cancelled'));
        });
      }),
    forever: () => {
      for (;;);
    },
  },
  new NodeDisk(),
);
