/** Nodes that take less in a message than by default, or than the client knows. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { brokenLimits, defaultLimits, type Limits } from '../../src/base/limits.js';
import { Dispatcher } from '../../src/client/dispatcher.js';
import { clientSettings } from '../../src/client/options.js';
import { PendingOperation } from '../../src/client/pending-operation.js';
import { Reachability } from '../../src/client/reachability.js';
import { initialTable } from '../../src/client/routing.js';
import type { OperationResult } from '../../src/rpc/public-types.js';
import { utf8 } from '../../src/base/bytes.js';
import { startServer, until } from '../rpc/harness.js';
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

/** Of a node whose limits are lower than this client knows. */
describe('a message that is refused', () => {
  it('has not been applied; what came before and after it on the stream is done', async () => {
    const node = await startServer({ limits: { batchOperationsMax: 4 } });
    onTestFinished(() => node[Symbol.asyncDispose]());
    const settings = clientSettings({ endpoints: [node.address] });
    const dependencies = { reachability: new Reachability(), events: { onStaleMap: () => undefined } };
    const dispatcher = new Dispatcher(settings, initialTable([node.address]), dependencies);
    const results = new Map<string, OperationResult>();
    let seq = 0;
    const put = (name: string): PendingOperation => {
      const requestId = { session: new Uint8Array(16), seq: ++seq };
      const [key, value] = [utf8(name), utf8('v')];
      const startMs = performance.now();
      const pending = new PendingOperation(
        { type: 'put', key, value, condition: { type: 'none' }, requestId },
        { startMs, deadlineMs: startMs + 5000 },
        (result) => results.set(name, result),
      );
      dispatcher.submit(pending);
      return pending;
    };
    node.backend.onSubmit = () => 'hold';
    put('before');
    await until(() => node.backend.held.length === 1);
    node.backend.onSubmit = () => 'execute';
    const refused = ['a', 'b', 'c', 'd', 'e'].map(put);
    await until(() => refused[0].state.type === 'sent');
    put('after');
    await until(() => results.size === 7);
    // Messages are counted anew on the stream that follows.
    for (const name of ['f', 'g', 'h', 'i', 'j']) put(name);
    await until(() => results.size === 12);
    const error = { code: 'INVALID_ARGUMENT', outcome: 'notApplied', retryable: false };
    for (const name of 'abcdefghij') expect(results.get(name)).toMatchObject({ type: 'failed', error });
    for (const name of ['before', 'after']) expect(results.get(name)).toMatchObject({ type: 'written' });
    expect(node.backend.state.applied).toHaveLength(2);
    await dispatcher.close();
  });
});
