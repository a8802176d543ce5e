import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { fromUtf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { ShardId } from '../../src/base/ids.js';
import { routingKey } from '../../src/mvcc/operations.js';
import { connect, type AtomicOperation } from '../../src/client/index.js';
import { sampleStatus } from '../rpc/fake-backend.js';
import { startServer, until, type TestServer } from '../rpc/harness.js';
import { cluster, leaders, rejection } from './cluster.js';

describe('client', () => {
  it('puts, gets and deletes, with text and with bytes', async () => {
    const { client } = await cluster();
    expect(await client.get('k')).toEqual({ type: 'absent' });
    const put = await client.put('k', new Uint8Array([1, 2]));
    const version = put.type === 'written' ? put.version : 0;
    expect(await client.get(new Uint8Array([0x6b]))).toEqual({
      type: 'found',
      version,
      value: new Uint8Array([1, 2]),
    });
    expect(await client.put('k', 'x', { ifAbsent: true })).toMatchObject({
      type: 'conditionFailed',
      current: { version },
    });
    expect(await client.put('k', 'x', { ifVersion: version })).toMatchObject({ type: 'written' });
    expect(await client.delete('k', { ifValue: 'y' })).toMatchObject({ type: 'conditionFailed' });
    expect(await client.delete('k')).toMatchObject({ type: 'written' });
    expect(await client.delete('k')).toEqual({ type: 'nothingDeleted' });
    expect(await client.put('k', 'x', { ifVersion: version })).toEqual({ type: 'conditionFailed', current: undefined });
  });

  it('sends each operation to the leader of its shard', async () => {
    const { client, nodes } = await cluster();
    await Promise.all([client.put('a', '1'), client.put('z', '2'), client.get('m', { consistency: 'stale' })]);
    const keys = nodes.map(({ backend }) => backend.submitted.map(({ operation }) => fromUtf8(routingKey(operation))));
    expect(keys).toEqual([['a'], ['z', 'm']]);
  });

  it("does not go through the environment's proxy", async () => {
    // Nothing listens there.
    vi.stubEnv('http_proxy', 'http://127.0.0.1:1');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { client } = await cluster();
    expect(await client.put('k', 'v')).toMatchObject({ type: 'written' });
  });

  it('executes an atomic batch, at the leader of its keys', async () => {
    const { client, nodes } = await cluster();
    const put = await client.atomicBatch([
      { type: 'put', key: 'x', value: '1', ifAbsent: true },
      { type: 'delete', key: 'y' },
      { type: 'check', key: 'z', ifAbsent: true },
    ]);
    expect(put).toMatchObject({ type: 'written' });
    expect(nodes[1].backend.submitted).toHaveLength(1);
    const requestId = { session: new Uint8Array(16).fill(3), seq: 9 };
    const refused = await client.atomicBatch(
      [
        { type: 'put', key: 'y', value: '2' },
        { type: 'put', key: 'x', value: '2', ifValue: '3' },
      ],
      { requestId },
    );
    const current = { version: put.type === 'written' ? put.version : 0, value: new Uint8Array([0x31]) };
    expect(refused).toEqual({ type: 'conditionsFailed', failures: [{ index: 1, current }] });
    expect(nodes[1].backend.submitted.at(-1)?.operation).toMatchObject({ requestId });
    expect(await client.get('y')).toEqual({ type: 'absent' });
  });

  it('has no more operations in a message than nodes take, those of atomic batches counted', async () => {
    const { client } = await cluster();
    const batchOf = (name: string): AtomicOperation[] =>
      Array.from({ length: 600 }, (_, i) => ({ type: 'put', key: `x${name}${i}`, value: '' }));
    const results = await Promise.all(['a', 'b', 'c'].map((name) => client.atomicBatch(batchOf(name))));
    expect(results.map(({ type }) => type)).toEqual(['written', 'written', 'written']);
  });

  it('does not know what came of a change of replicas when no answer comes', async () => {
    const { client, nodes } = await cluster();
    const giveUp = new AbortController();
    const asked = new Promise<void>((resolve) => {
      nodes[0].backend.changeReplicas = () => {
        resolve();
        return new Promise(() => {});
      };
    });
    const cancelled = rejection(client.changeReplicas(1, { voters: [1] }, { signal: giveUp.signal }));
    await asked;
    giveUp.abort(new Error('enough'));
    expect(await cancelled).toMatchObject({ code: 'CANCELLED', outcome: 'unknown' });

    const late = await rejection(client.changeReplicas(1, { voters: [1] }, { deadlineMs: 100 }));
    expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'unknown' });
    const refused = await rejection(client.changeReplicas(10, { voters: [1] }, { signal: AbortSignal.abort() }));
    expect(refused).toMatchObject({ code: 'CANCELLED', outcome: 'notApplied' });
  });

  it('executes a batch, with errors as results', async () => {
    const { client } = await cluster();
    const results = await client.batch([
      { type: 'put', key: 'a', value: '1' },
      { type: 'put', key: 'z', value: '2', ifAbsent: true },
      { type: 'get', key: '' },
      { type: 'delete', key: 'q' },
    ]);
    expect(results).toMatchObject([
      { type: 'written' },
      { type: 'written' },
      { type: 'failed', error: { code: 'INVALID_ARGUMENT', outcome: 'notApplied' } },
      { type: 'nothingDeleted' },
    ]);
  });

  it('throws what a node refuses', async () => {
    const { client } = await cluster();
    expect(await rejection(client.put('a', new Uint8Array(2 ** 20 + 1)))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      outcome: 'notApplied',
      message: expect.stringContaining('valueBytesMax') as unknown,
    });
    expect(await rejection(client.put('a', new Uint8Array(2 ** 23)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('copies what it is given', async () => {
    const { client } = await cluster();
    const value = Buffer.from('before');
    const key = Buffer.from('key');
    const put = client.put(key, value);
    value.fill(0);
    key.fill(0);
    await put;
    expect(await client.get('key')).toMatchObject({ type: 'found', value: new Uint8Array(Buffer.from('before')) });
  });

  it('carries thousands of operations at once', async () => {
    const { client, state } = await cluster({ operationsInFlightMax: 100 });
    await Promise.all(Array.from({ length: 5000 }, (_, i) => client.put(`${i % 2 === 0 ? 'a' : 'z'}${i}`, `${i}`)));
    expect(state.applied).toHaveLength(5000);
    expect(new Set(state.applied).size).toBe(5000);
  });

  it('gives the status and the shard map', async () => {
    const { client } = await cluster();
    expect(await client.status()).toEqual(sampleStatus);
    expect((await client.shardMap()).shards.map(({ leader }) => leader)).toEqual([1, 2]);
  });
});

describe('when things go wrong', () => {
  it('follows a leader that moved', async () => {
    const { client, nodes } = await cluster();
    await client.put('a', '1');
    nodes[0].backend.onSubmit = () => new QuorateError('NOT_LEADER', 'moved', { shard: ShardId(1) });
    leaders(nodes, 2, [2, 2]);
    expect(await client.put('a', '2')).toMatchObject({ type: 'written' });
    await until(() => true);
    await client.shardMap();
    const before = nodes[0].backend.submitted.length;
    await client.put('a', '3');
    expect(nodes[0].backend.submitted).toHaveLength(before);
  });

  it('applies a write once whose answer is lost with its connection', async () => {
    const { client, nodes, state } = await cluster();
    await client.put('a', '0');
    nodes[0].backend.onSubmit = () => 'loseAnswer';
    const puts = Array.from({ length: 50 }, (_, i) => client.put(`a${i}`, 'x'));
    await until(() => state.applied.length === 51);
    nodes[0].server.close();
    expect(new Set((await Promise.all(puts)).map(({ type }) => type))).toEqual(new Set(['written']));
    expect(state.applied).toHaveLength(51);
    // The other node was asked again, with the ids of the first attempts.
    const ids = ({ backend }: TestServer): string[] =>
      backend.submitted.map(({ operation }) => (operation.type === 'put' ? String(operation.requestId.seq) : ''));
    expect(ids(nodes[1]).sort()).toEqual(ids(nodes[0]).slice(1).sort());
  });

  it('gets a conditional write right whose answer is lost', async () => {
    const { client, nodes, state } = await cluster();
    nodes[0].backend.onSubmit = () => 'loseAnswer';
    const put = client.put('a', '1', { ifAbsent: true });
    await until(() => state.applied.length === 1);
    nodes[0].server.close();
    expect(await put).toMatchObject({ type: 'written' });
  });

  it('comes back to a node that is restarted', async () => {
    const { client, nodes } = await cluster();
    await client.put('a', '1');
    for (const { server } of nodes) server.close();
    const put = client.put('a', '2');
    const again = await startServer({ backend: nodes[0].backend, address: nodes[0].address });
    onTestFinished(() => again[Symbol.asyncDispose]());
    expect(await put).toMatchObject({ type: 'written' });
  });

  it('waits as long as an overloaded node says', async () => {
    const { client, nodes } = await cluster();
    let refusals = 0;
    nodes[0].backend.onSubmit = () =>
      ++refusals <= 2 ? new QuorateError('OVERLOADED', 'full', { retryAfterMs: 20 }) : 'execute';
    const startMs = performance.now();
    await client.put('a', '1');
    expect(performance.now() - startMs).toBeGreaterThan(35);
    expect(nodes[0].backend.submitted).toHaveLength(3);
  });

  it('does not try again what is not worth it', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => new QuorateError('DISK_FULL', 'full');
    expect(await rejection(client.put('a', '1'))).toMatchObject({ code: 'DISK_FULL', outcome: 'notApplied' });
    expect(nodes[0].backend.submitted).toHaveLength(1);
  });

  it('names the shard that had no quorum until the deadline', async () => {
    const { client, nodes } = await cluster();
    const error = new QuorateError('SHARD_UNAVAILABLE', 'no quorum', { shard: ShardId(1) });
    for (const { backend } of nodes) backend.onSubmit = () => error;
    const result = await rejection(client.put('a', '1', { deadlineMs: 200 }));
    expect(result).toMatchObject({ outcome: 'notApplied', shard: 1 });
    expect(nodes[1].backend.submitted.length).toBeGreaterThan(0);
  });

  it('does not know the outcome of a write that was sent, at its deadline', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => 'hold';
    expect(await rejection(client.put('a', '1', { deadlineMs: 100 }))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      outcome: 'unknown',
    });
    expect(nodes[0].backend.held[0].timeoutMs).toBeLessThanOrEqual(90);
    expect(await rejection(client.get('a', { deadlineMs: 50 }))).toMatchObject({ outcome: 'notApplied' });
  });

  it('ends a write before nodes may have forgotten its request, whatever its deadline; a read not', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => 'hold';
    const calls = [client.get('a', { deadlineMs: Infinity }), client.put('a', '1', { deadlineMs: Infinity })];
    await expect.poll(() => nodes[0].backend.held.length).toBe(2);
    const [read, write] = nodes[0].backend.held.map(({ timeoutMs }) => timeoutMs);
    expect(read).toBe(300_000); // the most that this server allows
    expect(write).toBeLessThan(240_000);
    nodes[0].backend.releaseHeld();
    await Promise.all(calls);
  });

  it('knows that a write was not applied that was never sent', async () => {
    const { client, nodes } = await cluster({ operationsInFlightMax: 1 });
    nodes[0].backend.onSubmit = () => 'hold';
    const sent = rejection(client.put('a', '1', { deadlineMs: 300 }));
    const queued = rejection(client.put('b', '2', { deadlineMs: 100 }));
    expect(await queued).toMatchObject({ code: 'DEADLINE_EXCEEDED', outcome: 'notApplied' });
    expect(await sent).toMatchObject({ outcome: 'unknown' });
    expect(nodes[0].backend.submitted).toHaveLength(1);
    // The place of the one that was given up is free again.
    nodes[0].backend.onSubmit = () => 'execute';
    expect(await client.put('c', '3')).toMatchObject({ type: 'written' });
  });

  it('knows the same when no node can be reached', async () => {
    const { client, nodes } = await cluster();
    for (const { server } of nodes) server.close();
    expect(await rejection(client.put('a', '1', { deadlineMs: 150 }))).toMatchObject({ outcome: 'notApplied' });
  });

  it('keeps an unknown outcome when a later attempt was refused', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => new QuorateError('SHARD_UNAVAILABLE', 'perhaps', { outcome: 'unknown' });
    nodes[1].backend.onSubmit = () => new QuorateError('INTERNAL', 'no');
    expect(await rejection(client.put('a', '1'))).toMatchObject({ code: 'INTERNAL', outcome: 'unknown' });
  });

  it('ends a call by its signal', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => 'hold';
    const controller = new AbortController();
    const put = rejection(client.put('a', '1', { signal: controller.signal }));
    await until(() => nodes[0].backend.held.length === 1);
    controller.abort(new Error('enough'));
    expect(await put).toMatchObject({ code: 'CANCELLED', outcome: 'unknown', message: 'cancelled: enough' });
    expect(await rejection(client.put('a', '1', { signal: controller.signal }))).toMatchObject({
      code: 'CANCELLED',
      outcome: 'notApplied',
    });
  });

  it('refuses more than it may have open', async () => {
    const { client, nodes } = await cluster({ operationsOpenMax: 3, deadlineMs: 500 });
    nodes[0].backend.onSubmit = () => 'hold';
    const puts = ['a', 'b', 'c'].map((key) => client.put(key, '1'));
    expect(await rejection(client.put('d', '1'))).toMatchObject({ code: 'OVERLOADED', outcome: 'notApplied' });
    await until(() => nodes[0].backend.held.length === 3);
    nodes[0].backend.releaseHeld();
    await Promise.all(puts);
  });

  it('says that the time was too short, where it was', async () => {
    const { nodes } = await cluster();
    const error = await rejection(connect({ endpoints: [nodes[0].address], deadlineMs: 0.01 }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('says that no endpoint answers', async () => {
    const { nodes } = await cluster();
    for (const { server } of nodes) server.close();
    const error = await rejection(connect({ endpoints: [nodes[0].address], deadlineMs: 200 }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
    expect(error.message).toContain(nodes[0].address);
  });

  it('answers what is open before it closes, and nothing after', async () => {
    const { client, nodes } = await cluster();
    nodes[0].backend.onSubmit = () => 'hold';
    const put = client.put('a', '1');
    await until(() => nodes[0].backend.held.length === 1);
    const closed = client.close();
    nodes[0].backend.releaseHeld();
    expect(await put).toMatchObject({ type: 'written' });
    await closed;
    expect(await rejection(client.get('a'))).toMatchObject({ code: 'CANCELLED', outcome: 'notApplied' });
    expect(await rejection(client.status())).toMatchObject({ code: 'CANCELLED' });
  });
});
