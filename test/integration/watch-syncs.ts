/**
 * Preloaded into a node (`node --import`), between its code and the system: writes a `b` into a file when a batch of the log
 * begins to be written through to the device (a write to a segment that was opened with O_DSYNC), and an `e` when that has
 * ended well, before the node learns of it. Every such write takes longer than it would: whoever does not wait for it is
 * surely ahead of it. A file named `PID.fail` has one of them fail (`f`), and is removed. What else is written to segments
 * (zeros, proofs) does not count. watched-syncs.ts starts and reads this.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const { WATCH_SYNCS_FOLDER = '', WATCH_SYNCS_EXTRA_MS } = process.env;
const extraMs = Number(WATCH_SYNCS_EXTRA_MS);
const { appendFileSync, existsSync, open, unlinkSync, write } = fs;
const file = join(WATCH_SYNCS_FOLDER, String(process.pid));
const segments = new Set<number>();

type Written = (error: Error | null, count?: number) => void;

/** As docs/formats/log.md says: a batch header that is followed by records. */
function isBatch(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return text.length > 36 && text.toString('latin1', 4, 8) === 'QLBT' && text.readUInt32LE(32) > 0;
}

Object.assign(fs, {
  open: (path: string, flags: string | number, done: (error: Error | null, fd: number) => void) => {
    open(path, flags, (error, fd) => {
      const isDurable = typeof flags === 'number' && (flags & fs.constants.O_DSYNC) !== 0;
      if (error === null && isDurable && path.endsWith('.log')) segments.add(fd);
      else segments.delete(fd);
      done(error, fd);
    });
  },
  write: (fd: number, bytes: Uint8Array, from: number, length: number, offset: number, done: Written) => {
    if (!segments.has(fd) || !isBatch(bytes.subarray(from, from + length))) {
      write(fd, bytes, from, length, offset, done);
      return;
    }
    if (existsSync(`${file}.fail`)) {
      unlinkSync(`${file}.fail`);
      appendFileSync(file, 'f');
      // The page cache has it, and the device does not.
      write(fd, bytes, from, length, offset, () =>
        done(Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO', syscall: 'write' })),
      );
      return;
    }
    appendFileSync(file, 'b');
    setTimeout(() => {
      write(fd, bytes, from, length, offset, (error, count) => {
        if (error === null) appendFileSync(file, 'e');
        done(error, count);
      });
    }, extraMs);
  },
});
syncBuiltinESMExports();
