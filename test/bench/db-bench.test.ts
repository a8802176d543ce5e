import { expect, test } from 'vitest';
import { lastWorkMs, parseDbBench } from '../../bench/engine-db-bench.js';

test('what db_bench prints is read, by our names, and of a repeated run the last counts', () => {
  const output = [
    'RocksDB:    version 7.8.3',
    'Keys:       16 bytes each (+ 0 bytes user-defined timestamp)',
    'DB path: [/tmp/x]',
    'readrandom   :       9.345 micros/op 107001 ops/sec 1.869 seconds 200000 operations;   27.6 MB/s (200000 of 200000 found)',
    'readrandom   :       2.345 micros/op 426439 ops/sec 0.469 seconds 200000 operations;  110.5 MB/s (200000 of 200000 found)',
    'waitforcompaction(/tmp/x): started',
    'seekrandom   :       5.000 micros/op 200000 ops/sec 1.000 seconds 200000 operations;   52.0 MB/s (1 of 200000 found)',
  ].join('\n');
  expect([...parseDbBench(output, { readrandom: 'get cached', seekrandom: 'seek' })]).toEqual([
    ['get cached', 426439],
    ['seek', 200000],
  ]);
});

test("the end of the last flush or compaction is read from RocksDB's own log", () => {
  const log = [
    '2026/11/21-06:41:25.001364 7f EVENT_LOG_v1 {"time_micros": 1795243285001364, "job": 2, "event": "flush_started"}',
    '2026/11/21-06:41:26.772938 7f EVENT_LOG_v1 {"time_micros": 1795243286772938, "job": 2, "event": "flush_finished"}',
    '2026/11/21-06:41:28.100000 7f (Original Log Time …) EVENT_LOG_v1 {"time_micros": 1795243288000000, "job": 3, "event": "compaction_finished"}',
    '2026/11/21-06:41:29.000000 7f EVENT_LOG_v1 {"time_micros": 1795243289000000, "job": 4, "event": "table_file_deletion"}',
  ].join('\n');
  expect(lastWorkMs(log)).toBe(1795243288000);
});
