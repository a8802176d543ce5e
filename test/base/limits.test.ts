import { describe, expect, test } from 'vitest';
import { checkLimits, defaultLimits } from '../../src/base/limits.js';

describe('checkLimits', () => {
  test('the defaults agree with each other', () => {
    expect(() => checkLimits(defaultLimits)).not.toThrow();
  });

  test.each([
    [{ keyBytesMax: 0 }, 'keyBytesMax'],
    [{ valueBytesMax: 8 * 1024 * 1024 }, 'requestBytesMax'],
    [{ entryBytesMax: 1024 }, 'entryBytesMax'],
    [{ uncommittedBytesMax: 1024 }, 'uncommittedBytesMax'],
    [{ segmentBytesMax: 1024 * 1024 }, 'a segment must hold'],
    [{ peerFrameBytesMax: 1024 * 1024 }, 'peerFrameBytesMax'],
    [{ peerQueueBytesMax: 1024 }, 'peerQueueBytesMax'],
    [{ shardOperationsInFlightMax: 100_000 }, 'nodeOperationsInFlightMax'],
    [{ writeWaitMsTarget: 0 }, 'writeWaitMsTarget'],
    [{ unsentAnswerBytesMax: 4 * 1024 ** 2 }, 'unsentAnswerBytesMax'],
    [
      {
        unsentAnswerBytesMax: 64 * 1024 ** 2,
        requestBytesMax: 65 * 1024 ** 2,
        peerFrameBytesMax: 2 ** 27,
        peerQueueBytesMax: 2 ** 27,
      },
      'unsentAnswerBytesMax',
    ],
    [{ connectionCallsMax: 0 }, 'connectionCallsMax'],
    [{ scansInFlightMax: 0 }, 'scansInFlightMax'],
    [{ rowCacheBytesMax: 8 * 1024 ** 3 }, 'rowCacheBytesMax'],
  ])('%j is refused by name', (change, name) => {
    expect(() => checkLimits({ ...defaultLimits, ...change })).toThrow(name);
  });
});
