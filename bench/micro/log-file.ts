/** A log file as the ways of `log-append.ts` use it, in whichever thread. */
import { constants, fdatasyncSync, openSync, writeSync } from 'node:fs';

export type Sync = 'fdatasync' | 'O_DSYNC';

/** What is written ahead of a file that grows by more than it must. */
export const zeros = new Uint8Array(1024 * 1024);

/** Structured-cloneable: threads share the descriptor. */
export interface LogFile {
  readonly fd: number;
  readonly sync: Sync;
  readonly growsByZeros: boolean;
  /** A record that would go beyond is written to the front. */
  readonly bytesMax: number;
  /** Where the next record goes. */
  offset: number;
  /** Up to here the file has been prepared by zeros. */
  zerosTo: number;
}

export function openLog(path: string, sync: Sync): number {
  return openSync(path, constants.O_RDWR | (sync === 'O_DSYNC' ? constants.O_DSYNC : 0));
}

/** Where a record of so many bytes goes. */
export function takeRoom(log: LogFile, bytes: number): number {
  if (log.offset + bytes > log.bytesMax) log.offset = 0;
  const offset = log.offset;
  log.offset += bytes;
  return offset;
}

/** Where zeros are to be written, so that there is room for another record of so many bytes; undefined when there is. */
export function zerosDue(log: LogFile, bytes: number): number | undefined {
  if (!log.growsByZeros || log.offset + bytes <= log.zerosTo) return undefined;
  const from = Math.max(log.offset, log.zerosTo);
  log.zerosTo = from + zeros.length;
  return from;
}

/** Durable when it returns. */
export function appendNow(log: LogFile, bytes: Uint8Array): void {
  writeSync(log.fd, bytes, 0, bytes.length, takeRoom(log, bytes.length));
  const from = zerosDue(log, bytes.length);
  if (from !== undefined) writeSync(log.fd, zeros, 0, zeros.length, from);
  if (log.sync === 'fdatasync') fdatasyncSync(log.fd);
}
