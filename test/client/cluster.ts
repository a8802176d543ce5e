/** A client of two real gRPC servers that share one fake state. */
import { expect, onTestFinished } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import type { Limits } from '../../src/base/limits.js';
import { connect, type Client, type ClientOptions } from '../../src/client/index.js';
import { FakeBackend, FakeState, twoShardMap } from '../rpc/fake-backend.js';
import { startServer, type TestServer } from '../rpc/harness.js';

export interface Cluster {
  readonly client: Client;
  readonly state: FakeState;
  readonly nodes: readonly TestServer[];
}

/** Two nodes of one state; the first leads the keys before `m`, the second the others. */
export async function cluster(options: Partial<ClientOptions> = {}, limits: Partial<Limits> = {}): Promise<Cluster> {
  const state = new FakeState();
  const nodes = [
    await startServer({ backend: new FakeBackend(state), limits }),
    await startServer({ backend: new FakeBackend(state), limits }),
  ];
  leaders(nodes, 1, [1, 2]);
  const client = await connect({ endpoints: [nodes[0].address], ...options });
  onTestFinished(async () => {
    for (const { backend } of nodes) backend.releaseHeld();
    await client.close();
    for (const node of nodes) await node[Symbol.asyncDispose]();
  });
  return { client, state, nodes };
}

export function leaders(nodes: readonly TestServer[], revision: number, ids: [number, number]): void {
  const addresses = nodes.map(({ address }) => address);
  for (const { backend } of nodes) backend.map = twoShardMap(revision, addresses, ids);
}

export const rejection = async (promise: Promise<unknown>): Promise<QuorateError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(QuorateError);
  return error as QuorateError;
};
