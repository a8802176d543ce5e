/** What the operating system has counted for a process (Linux). */
import { readFileSync } from 'node:fs';

export interface ProcessCounters {
  /** Of all threads, in the kernel too. */
  readonly cpuMs: number;
  /** Handed to the disk, as the kernel attributes it: the page cache included, what was only overwritten there not. */
  readonly writtenBytes: number;
  readonly rssBytes: number;
}

/** The kernel's unit of processor time in /proc: a hundredth of a second on every Linux there is. */
const tickMs = 10;

export function readProcessCounters(pid: number): ProcessCounters {
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  return parseProcessCounters({ stat: read('stat'), io: read('io'), status: read('status') });
}

/** Processor time of this process' children that have ended, and of theirs. */
export function readChildrenCpuMs(): number {
  return parseChildrenCpuMs(readFileSync('/proc/self/stat', 'utf8'));
}

export function parseChildrenCpuMs(stat: string): number {
  return sumOfTicks(fieldsOf(stat).slice(13, 15));
}

export function parseProcessCounters(files: {
  readonly stat: string;
  readonly io: string;
  readonly status: string;
}): ProcessCounters {
  return {
    cpuMs: sumOfTicks(fieldsOf(files.stat).slice(11, 13)),
    writtenBytes: numberAfter('write_bytes:', files.io),
    rssBytes: numberAfter('VmRSS:', files.status) * 1024,
  };
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
