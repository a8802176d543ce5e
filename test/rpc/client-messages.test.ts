/** The messages of clients: our codecs against their twin, both directions. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { QuorateError } from '../../src/base/errors.js';
import { Timestamp } from '../../src/base/ids.js';
import type { Operation, RequestId } from '../../src/mvcc/operations.js';
import { decodeClusterStatus, decodeShardMap, encodeClusterStatus, encodeShardMap } from '../../src/rpc/admin-codec.js';
import { decodeBatchRequest, encodeOperation, type OperationRules } from '../../src/rpc/kv-codec.js';
import { requireRequestId } from '../../src/rpc/request-id-codec.js';
import { decodeScanPage, decodeScanRequest, encodeScanPage, encodeScanRequest } from '../../src/rpc/scan-codec.js';
import { scanRange } from '../../src/rpc/scan-range.js';
import {
  decodeStreamRequest,
  decodeStreamResponse,
  writeStreamOperation,
  writeStreamResult,
} from '../../src/rpc/stream-codec.js';
import { cappedTimeoutMs, remainingTimeoutMs } from '../../src/rpc/timeouts.js';
import { WireWriter } from '../../src/rpc/wire-writer.js';
import { operationArbitrary, recordArbitrary, resultArbitrary } from './arbitraries.js';
import { sampleStatus, twoShardMap } from './fake-backend.js';
import { throughTwin } from './twin.js';

const rules: OperationRules = { operationsMax: 8, missingRequestId: requireRequestId };
const id = fc.maxSafeNat();

describe('messages of clients, through the twin', () => {
  it('StreamRequest', () => {
    const operation = fc.record(
      { id, operation: operationArbitrary, timeoutMs: fc.nat({ max: 0xffff_ffff }) },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (operations) => {
        const writer = new WireWriter();
        for (const { operation: content, ...rest } of operations) {
          writeStreamOperation(writer, { ...rest, bytes: encodeOperation(content) });
        }
        deepStrictEqual(
          decodeStreamRequest(throughTwin('quorate.v1.StreamRequest', writer.finish()), {
            ...rules,
            operationsMax: 18,
          }),
          operations,
        );
      }),
    );
  });

  it('operations that are encoded one after the other, small and large ones, each keep their bytes', () => {
    const requestId = { session: new Uint8Array(16).fill(7), seq: 300 };
    const put = (fill: number, bytes: number): Operation => {
      const value = new Uint8Array(bytes).fill(fill);
      return { type: 'put', key: utf8(`key ${fill}`), value, condition: { type: 'valueEquals', value }, requestId };
    };
    const operations = [0, 10, 100, 1900, 2000, 5000, 100].map((bytes, i) => put(i, bytes));
    const encoded = operations.map((operation, i) => {
      const bytes = encodeOperation(operation);
      // One that cannot be encoded leaves nothing behind for the next, nor one that has another encoded in between.
      const wrong = { ...put(i, 50), requestId: { ...requestId, seq: -1 } };
      expect(() => encodeOperation(wrong)).toThrow();
      const nested = { ...put(i, 50) } as Operation & { requestId: RequestId };
      Object.defineProperty(nested, 'requestId', { get: () => (encodeOperation(put(1, 10)), requestId) });
      deepStrictEqual(encodeOperation(nested), encodeOperation(put(i, 50)));
      return bytes;
    });
    const writer = new WireWriter();
    for (const [i, bytes] of encoded.entries()) writeStreamOperation(writer, { id: i, bytes, timeoutMs: 1 });
    const decoded = decodeStreamRequest(throughTwin('quorate.v1.StreamRequest', writer.finish()), rules);
    deepStrictEqual(
      decoded.map(({ operation }) => operation),
      operations,
    );
  });

  it('StreamResponse', () => {
    const result = fc.record({ id, result: resultArbitrary }, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(result, { maxLength: 6 }), (results) => {
        const writer = new WireWriter();
        for (const each of results) writeStreamResult(writer, each.id, each.result);
        deepStrictEqual(decodeStreamResponse(throughTwin('quorate.v1.StreamResponse', writer.finish())), results);
      }),
    );
  });

  it('ScanRequest', () => {
    const key = fc.uint8Array({ maxLength: 8 });
    const query = fc.record(
      {
        start: key,
        end: key,
        prefix: key,
        reverse: fc.boolean(),
        keysOnly: fc.boolean(),
        limit: id,
        pageBytes: id,
        pageTimeoutMs: id,
        consistency: fc.constantFrom('linearizable' as const, 'stale' as const),
        readTs: id.map(Timestamp),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(query, (each) => {
        deepStrictEqual(decodeScanRequest(throughTwin('quorate.v1.ScanRequest', encodeScanRequest(each))), each);
      }),
    );
  });

  it('ScanPage', () => {
    const page = fc.record(
      { records: fc.array(recordArbitrary, { maxLength: 5 }), readTs: id.map(Timestamp) },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(page, (each) => {
        deepStrictEqual(decodeScanPage(throughTwin('quorate.v1.ScanPage', encodeScanPage(each))), each);
      }),
    );
  });

  it('StatusResponse and ShardMapResponse', () => {
    const status = throughTwin('quorate.v1.StatusResponse', encodeClusterStatus(sampleStatus));
    deepStrictEqual(decodeClusterStatus(status), sampleStatus);
    const messageLimits = { operationsMax: 100, bytesMax: 2 ** 20 };
    const map = { ...twoShardMap(7, ['n1:1', 'n2:1'], [2, undefined]), messageLimits };
    deepStrictEqual(decodeShardMap(throughTwin('quorate.v1.ShardMapResponse', encodeShardMap(map))), map);
    // Of an earlier release, which tells no limits.
    deepStrictEqual(decodeShardMap(new Uint8Array(0)).messageLimits, { operationsMax: 1024, bytesMax: 8 * 2 ** 20 });
  });
});

describe('garbage', () => {
  it('is refused with DecodeError, or is an operation that is refused', () => {
    const decoders = [decodeScanRequest, decodeScanPage, decodeStreamResponse, decodeShardMap, decodeClusterStatus];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        for (const decode of decoders) onlyDecodeError(() => decode(bytes));
        onlyDecodeError(() => decodeBatchRequest(bytes, rules));
        onlyDecodeError(() => decodeStreamRequest(bytes, rules));
      }),
      { numRuns: 2000 },
    );
  });

  it('does not take more operations than allowed', () => {
    // Field 1, an empty message, over and over.
    const bytes = new Uint8Array(18).map((_, i) => (i % 2 === 0 ? 0x0a : 0));
    expect(() => decodeBatchRequest(bytes, rules)).toThrow(/more than 8 operations/);
    expect(decodeBatchRequest(bytes.subarray(0, 16), rules).every((each) => each instanceof QuorateError)).toBe(true);
  });
});

describe('the operations of a message', () => {
  const put = { type: 'put', key: utf8('k'), value: utf8('v'), condition: { type: 'none' } } as const;
  const batchOf = (count: number): Operation => ({
    type: 'atomicBatch',
    operations: Array.from({ length: count }, () => put),
    requestId: { session: new Uint8Array(16), seq: 1 },
  });
  const request = (...counts: number[]): Uint8Array => {
    const writer = new WireWriter();
    for (const count of counts)
      writeStreamOperation(writer, { id: 1, bytes: encodeOperation(batchOf(count)), timeoutMs: 0 });
    return writer.finish();
  };

  it('are counted in atomic batches, too', () => {
    expect(decodeStreamRequest(request(5, 3), rules)).toHaveLength(2);
    expect(() => decodeStreamRequest(request(5, 4), rules)).toThrow(/more than 8 operations.*batchOperationsMax/);
  });

  it('are decoded up to the limit only in one atomic batch', () => {
    const [{ operation }] = decodeStreamRequest(request(9), rules);
    const message = expect.stringMatching(/more than 8 operations in an atomic batch .*batchOperationsMax/) as string;
    expect(operation).toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });
});

describe('scanRange', () => {
  it.each<[string, string, string, [string, string] | undefined]>([
    ['', '', '', ['', '']],
    ['b', 'd', '', ['b', 'd']],
    ['', '', 'b', ['b', 'c']],
    ['a', 'z', 'b', ['b', 'c']],
    ['bb', 'bd', 'b', ['bb', 'bd']],
    ['c', '', 'b', undefined],
    ['', 'b', 'b', undefined],
    ['x', 'x', '', undefined],
  ])('of [%j, %j) with prefix %j', (start, end, prefix, expected) => {
    const range = scanRange(utf8(start), utf8(end), utf8(prefix));
    expect(range && [range.start, range.end]).toEqual(expected?.map(utf8));
  });

  it('has no end for a prefix of 0xff', () => {
    const prefix = new Uint8Array([0xff, 0xff]);
    expect(scanRange(utf8('a'), new Uint8Array(0), prefix)).toEqual({ start: prefix, end: new Uint8Array(0) });
  });
});

describe('timeouts', () => {
  const limits = { defaultMs: 5000, maxMs: 60_000 };

  it.each([
    [0, 5000],
    [1, 1],
    [60_001, 60_000],
  ])('of a message that says %i', (given, expected) => {
    expect(cappedTimeoutMs(given, limits)).toBe(expected);
  });

  it.each<[string, Date | number, number]>([
    ['none', Infinity, 5000],
    ['in 1000 ms', 1_001_000, 900],
    ['in 100 ms', new Date(1_000_100), 90],
    ['in 10 s', 1_010_000, 9900],
    ['far away', 9_000_000, 60_000],
    ['just passed', 1_000_000, 0],
    ['long passed', 999_000, -900],
  ])('of a call whose deadline is %s', (_, deadline, expected) => {
    expect(remainingTimeoutMs(deadline, 1_000_000, limits)).toBe(expected);
  });
});

function onlyDecodeError(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
  }
}
