/** What a benchmark asks a node's process, and how: one JSON text there, one back. */
import { connect } from 'node:net';
import { join } from 'node:path';

export type ProbeRequest =
  /** Also whether to watch the event loop from now on. */
  | { readonly type: 'counters'; readonly watchesLoop: boolean }
  | { readonly type: 'startProfile' }
  | { readonly type: 'stopProfile'; readonly file: string };

/** Counts since the process began; the delay of timers since counters were last asked for, if it was watched. */
export interface ProbeAnswer {
  readonly syncs: number;
  readonly gcMs: number;
  readonly loopDelayP99Ms?: number;
  readonly loopDelayMsMax?: number;
  readonly heapUsedBytes: number;
  readonly heapBytes: number;
  /** Of typed arrays, memtables and caches among them. */
  readonly arrayBytes: number;
}

export function probeSocket(folder: string, pid: number): string {
  return join(folder, `probe-${pid}`);
}

export function askProbe(folder: string, pid: number, request: ProbeRequest): Promise<ProbeAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(probeSocket(folder, pid));
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => (received += text));
    socket.on('error', reject);
    socket.on('end', () => resolve(JSON.parse(received) as ProbeAnswer));
    socket.end(JSON.stringify(request));
  });
}
