import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';

import { afterEach, expect, test } from 'vitest';
import { isInstalled, parseH2load, parseH2loadLog, resultOf, runH2load } from '../../../bench/cluster/h2load.js';

const output = `starting benchmark...
spawning thread #0: 8 total client(s). Timing-based test with 0s of warm-up time and 5s of main duration for measurements.
Warm-up phase is over for thread #0.
Main benchmark duration is started for thread #0.

finished in 5.01s, 8912.40 req/s, 1.02MB/s
requests: 44562 total, 44818 started, 44562 done, 44560 succeeded, 2 failed, 1 errored, 0 timeout
status codes: 44560 2xx, 0 3xx, 1 4xx, 0 5xx
traffic: 5.10MB (5347440) total, 1.23MB (1292298) headers (space savings 90.00%), 1.11MB (1158612) data
                     min         max         mean         sd        +/- sd
time for request:     2.10ms     50.00ms     28.00ms      3.00ms    80.00%
`;

test('what h2load prints is read; answers with an error status are among those that failed', () => {
  expect(parseH2load(output)).toEqual({
    perSecond: 8912.4,
    done: 44562,
    succeeded: 44560,
    failed: 2,
    dataBytes: 1158612,
  });
});

test('output that is none names what was looked for', () => {
  expect(() => parseH2load('could not connect to host')).toThrow(/finished in/);
});

test('latencies come from the lines of requests that were answered', () => {
  const log = '1795243285001364\t200\t1500\n1795243285001400\t503\t10\n1795243285001500\t200\t2250\n';
  expect(parseH2loadLog(log)).toEqual([1.5, 2.25]);
});

const latenciesMs = [5, 1, 9, 2];

test('a run in which all calls were answered is as h2load tells it', () => {
  const summary = { perSecond: 2, done: 4, succeeded: 4, failed: 0, dataBytes: 4 * 16 };
  expect(resultOf(summary, latenciesMs, 16)).toMatchObject({ perSecond: 2, operations: 4, failed: 0, p50Ms: 2 });
  // By now two revisions have a byte more.
  expect(resultOf({ ...summary, dataBytes: 66 }, latenciesMs, 16)).toMatchObject({ operations: 4, failed: 0 });
});

test('answers without data were refused: not done, not counted in the rate, and the quickest', () => {
  const summary = { perSecond: 5, done: 5, succeeded: 4, failed: 1, dataBytes: 2 * 16 };
  expect(resultOf(summary, latenciesMs, 16)).toMatchObject({
    perSecond: 2,
    operations: 2,
    failed: 3,
    p50Ms: 5,
    p99Ms: 9,
  });
});

test('a run without any answer has no operations', () => {
  const nothing = { perSecond: 0, done: 0, succeeded: 0, failed: 0, dataBytes: 0 };
  expect(resultOf(nothing, [], 16)).toMatchObject({ perSecond: 0, operations: 0, p50Ms: NaN });
});

let server: Http2Server | undefined;
afterEach(() => server?.close());

/** Refuses the first call, answers the second, and then refuses `percent` of them. */
async function refusingServer(percent: number): Promise<string> {
  let calls = 0;
  const headers = { ':status': 200, 'content-type': 'application/grpc' };
  server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined).resume();
    stream.on('end', () => {
      const n = calls++;
      if (n === 0 || (n > 1 && (n * 37) % 100 < percent)) {
        stream.respond({ ...headers, 'grpc-status': '8' }, { endStream: true });
        return;
      }
      stream.respond(headers, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(281));
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.skipIf(!(await isInstalled('h2load')))('a server that refuses six of ten calls has done four of ten', async () => {
  const endpoint = await refusingServer(60);
  const call = { path: '/quorate.v1.Kv/Get', message: new Uint8Array(300) };
  const result = await runH2load({ endpoint, call, connections: 2, streamsPerConnection: 2, seconds: 0.5 });
  expect(result.failed / (result.failed + result.operations)).toBeCloseTo(0.6, 1);
});
