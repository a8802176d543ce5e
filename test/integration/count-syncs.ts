/**
 * Preloaded into a node (`node --import`), between its code and the system: writes a `b` into a file when a sync of a
 * segment of the log begins, and an `e` when it has ended well, before the node learns of that. The file has the name of
 * the process id, in the folder COUNT_SYNCS_IN. Every sync takes a little longer than it would: whoever does not wait for
 * it is surely ahead of it.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const extraMs = 5;
const { appendFileSync, fdatasync, open } = fs;
const file = join(process.env.COUNT_SYNCS_IN ?? '', String(process.pid));
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
