/** Nodes that take less in a message than by default, or than the client knows. */
import { describe, expect, it } from 'vitest';
import { brokenLimits, defaultLimits, type Limits } from '../../src/base/limits.js';
import { cluster, rejection } from './cluster.js';

describe('a client of nodes with lower limits', () => {
  it.each<[string, Partial<Limits>, number, number]>([
    ['operations in a message', { batchOperationsMax: 256 }, 600, 10],
    ['bytes in a message', { valueBytesMax: 65_536, requestBytesMax: 262_144 }, 100, 8192],
    ['one operation in a message', { batchOperationsMax: 1 }, 20, 10],
    [
      'the least that holds one value of maximal size',
      { keyBytesMax: 1024, valueBytesMax: 8192, requestBytesMax: 9984 },
      20,
      8192,
    ],
  ])('divides its messages by them: %s', async (_, limits, count, bytes) => {
    expect(brokenLimits({ ...defaultLimits, ...limits })).toEqual([]);
    const { client, state } = await cluster({}, limits);
    await Promise.all(Array.from({ length: count }, (_, i) => client.put(`a${i}`, new Uint8Array(bytes))));
    expect(state.applied).toHaveLength(count);
  });

  it('refuses an operation itself that no message has room for, and goes on', async () => {
    const { client, nodes } = await cluster({}, { valueBytesMax: 65_536, requestBytesMax: 131_072 });
    nodes[0].backend.onSubmit = () => 'hold';
    const before = client.put('a', 'x');
    const error = await rejection(client.put('b', new Uint8Array(131_072)));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'notApplied' });
    expect(error.message).toContain('requestBytesMax');
    await expect.poll(() => nodes[0].backend.held.length).toBe(1);
    nodes[0].backend.releaseHeld();
    expect(await before).toMatchObject({ type: 'written' });
  });
});
