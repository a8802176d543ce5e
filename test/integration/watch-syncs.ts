/**
 * Preloaded into a node (`node --import`), between its code and the system: writes a `b` into a file when a sync of a
 * segment of the log begins, and an `e` when it has ended well, before the node learns of that. Every sync takes longer
 * than it would: whoever does not wait for it is surely ahead of it. A file named `PID.fail` has one sync fail (`f`), and
 * is removed. watched-syncs.ts starts and reads this.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const { WATCH_SYNCS_FOLDER = '', WATCH_SYNCS_EXTRA_MS } = process.env;
const extraMs = Number(WATCH_SYNCS_EXTRA_MS);
const { appendFileSync, existsSync, fdatasync, open, unlinkSync } = fs;
const file = join(WATCH_SYNCS_FOLDER, String(process.pid));
const segments = new Set<number>();

Object.assign(fs, {
  open: (path: string, flags: string, done: (error: Error | null, fd: number) => void) => {
    open(path, flags, (error, fd) => {
      if (error === null && path.endsWith('.log')) segments.add(fd);
      else segments.delete(fd);
      done(error, fd);
    });
  },
  fdatasync: (fd: number, done: (error: Error | null) => void) => {
    if (!segments.has(fd)) {
      fdatasync(fd, done);
      return;
    }
    if (existsSync(`${file}.fail`)) {
      unlinkSync(`${file}.fail`);
      appendFileSync(file, 'f');
      setImmediate(() =>
        done(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO', syscall: 'fdatasync' })),
      );
      return;
    }
    appendFileSync(file, 'b');
    setTimeout(() => {
      fdatasync(fd, (error) => {
        if (error === null) appendFileSync(file, 'e');
        done(error);
      });
    }, extraMs);
  },
});
syncBuiltinESMExports();
