import { expect, test } from 'vitest';
import { parseH2load, parseH2loadLog } from '../../../bench/cluster/h2load.js';

const output = `starting benchmark...
spawning thread #0: 8 total client(s). Timing-based test with 0s of warm-up time and 5s of main duration for measurements.
Warm-up phase is over for thread #0.
Main benchmark duration is started for thread #0.

finished in 5.01s, 8912.40 req/s, 1.02MB/s
requests: 44562 total, 44818 started, 44562 done, 44560 succeeded, 2 failed, 2 errored, 0 timeout
status codes: 44560 2xx, 0 3xx, 1 4xx, 0 5xx
traffic: 5.10MB (5347440) total, 1.23MB (1292298) headers (space savings 90.00%), 1.11MB (1158612) data
                     min         max         mean         sd        +/- sd
time for request:     2.10ms     50.00ms     28.00ms      3.00ms    80.00%
`;

test('what h2load prints is read; answers with an error status count as failed', () => {
  expect(parseH2load(output)).toEqual({ perSecond: 8912.4, succeeded: 44560, failed: 3, dataBytes: 1158612 });
});

test('output that is none names what was looked for', () => {
  expect(() => parseH2load('could not connect to host')).toThrow(/finished in/);
});

test('latencies come from the lines of requests that were answered', () => {
  const log = '1795243285001364\t200\t1500\n1795243285001400\t503\t10\n1795243285001500\t200\t2250\n';
  expect(parseH2loadLog(log)).toEqual([1.5, 2.25]);
});
