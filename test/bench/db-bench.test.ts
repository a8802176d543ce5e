import { expect, test } from 'vitest';
import { parseDbBench } from '../../bench/engine-db-bench.js';

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
  expect([...parseDbBench(output)]).toEqual([
    ['get cached', 426439],
    ['seek', 200000],
  ]);
});
