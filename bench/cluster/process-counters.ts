/** What the operating system has counted for a process, and for a disk (Linux). */
import { existsSync, readFileSync, statSync } from 'node:fs';

export interface ProcessCounters {
  /** Of all threads, in the kernel too. */
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** The kernel's unit of processor time in /proc: a hundredth of a second on every Linux there is. */
const tickMs = 10;

export function readProcessCounters(pid: number): ProcessCounters {
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  return parseProcessCounters({ stat: read('stat'), status: read('status') });
}

/** Processor time of this process' children that have ended, and of theirs. */
export function readChildrenCpuMs(): number {
  return parseChildrenCpuMs(readFileSync('/proc/self/stat', 'utf8'));
}

export function parseChildrenCpuMs(stat: string): number {
  return sumOfTicks(fieldsOf(stat).slice(13, 15));
}

export function parseProcessCounters(files: { readonly stat: string; readonly status: string }): ProcessCounters {
  return {
    cpuMs: sumOfTicks(fieldsOf(files.stat).slice(11, 13)),
    rssBytes: numberAfter('VmRSS:', files.status) * 1024,
  };
}

/**
 * What the device that has `folder` was given to write, by whomever; undefined where that is no block device. The kernel counts for
 * processes too (`write_bytes`), but what becomes dirty, and newer ones count a large folio of a file that is overwritten for
 * each of its pages.
 */
export function readDiskWrittenBytes(folder: string): number | undefined {
  const { dev } = statSync(folder);
  const file = `/sys/dev/block/${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}/stat`;
  return existsSync(file) ? parseDiskWrittenBytes(readFileSync(file, 'utf8')) : undefined;
}

/** The seventh figure, in sectors of 512 bytes whatever the disk has (Documentation/block/stat.rst). */
export function parseDiskWrittenBytes(stat: string): number {
  return Number(stat.trim().split(/\s+/)[6]) * 512;
}

/** From the state of the process on. The name of the program, in brackets before it, may have anything in it. */
function fieldsOf(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function sumOfTicks(fields: readonly string[]): number {
  return fields.reduce((sum, ticks) => sum + Number(ticks) * tickMs, 0);
}

function numberAfter(label: string, file: string): number {
  const line = file.split('\n').find((text) => text.startsWith(label)) ?? '';
  const found = /\d+/.exec(line.slice(label.length));
  if (found === null) throw new Error(`no ${label} in what /proc has`);
  return Number(found[0]);
}
