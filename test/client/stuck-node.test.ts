/** A node that answers pings and reads nothing, as one does that pauses a stream under overload. */
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { Dispatcher } from '../../src/client/dispatcher.js';
import { clientSettings } from '../../src/client/options.js';
import { PendingOperation } from '../../src/client/pending-operation.js';
import { Reachability } from '../../src/client/reachability.js';
import { initialTable } from '../../src/client/routing.js';
import type { OperationResult } from '../../src/rpc/public-types.js';
import { until } from '../rpc/harness.js';

interface StuckNode {
  readonly address: string;
  /** Its client has left. */
  readonly left: Promise<void>;
}

async function startStuckNode(): Promise<StuckNode> {
  const server = createServer();
  const left = new Promise<void>((resolve) => server.on('session', (session) => session.on('close', resolve)));
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.pause();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, left };
}

test('operations that are settled are not waited for, and the node is left', { timeout: 5000 }, async () => {
  const node = await startStuckNode();
  const settings = clientSettings({ endpoints: [node.address] });
  const dependencies = { reachability: new Reachability(), events: { onStaleMap: () => undefined } };
  const dispatcher = new Dispatcher(settings, initialTable([node.address]), dependencies);
  const results: OperationResult[] = [];
  const startMs = performance.now();
  // Each fills a message: they are more than the transport takes.
  const operations = Array.from({ length: 100 }, (_, i) => {
    const value = new Uint8Array(512 * 1024);
    const requestId = { session: new Uint8Array(16), seq: i + 1 };
    const put = { type: 'put', key: utf8('k'), value, condition: { type: 'none' }, requestId } as const;
    const time = { startMs, deadlineMs: startMs + 60_000 };
    return new PendingOperation(put, time, (result) => results.push(result));
  });
  for (const operation of operations) dispatcher.submit(operation);
  await until(() => operations.some(({ state }) => state.type === 'sent'));
  for (const operation of operations) dispatcher.cancel(operation, new Error('enough'));

  const outcomes = results.map((result) => (result.type === 'failed' ? result.error.outcome : result.type));
  expect(outcomes).toHaveLength(100);
  expect(new Set(outcomes)).toEqual(new Set(['unknown', 'notApplied']));
  dispatcher.useTable(initialTable(['elsewhere:1']));
  await node.left;
  await dispatcher.close();
});
