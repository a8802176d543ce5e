/** What stands beside the key-value service: health, reflection, Admin, and the life of the server. */
import { credentials, loadPackageDefinition, type GrpcObject, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeBackend, twoShardMap } from './fake-backend.js';
import { rawClient, startServer, type Message, type TestServer } from './harness.js';

const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };

async function started(backend?: FakeBackend): Promise<TestServer> {
  const node = await startServer(backend === undefined ? {} : { backend });
  onTestFinished(() => node[Symbol.asyncDispose]());
  return node;
}

function connectTo(address: string, file: string, service: string): InstanceType<ServiceClientConstructor> {
  let found: unknown = loadPackageDefinition(loadSync(file, options));
  for (const name of service.split('.')) found = (found as GrpcObject)[name];
  const client = new (found as ServiceClientConstructor)(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  return client;
}

describe('health', () => {
  it('says what it is told', async () => {
    const { server, address } = await started();
    const client = connectTo(address, protoPath, 'grpc.health.v1.Health');
    const check = (service: string): Promise<unknown> =>
      new Promise((resolve) => {
        const done = (error: { code: number } | null, response?: Message): void =>
          resolve(error === null ? response?.status : error.code);
        (client.check as unknown as (request: Message, callback: typeof done) => void).call(client, { service }, done);
      });
    expect(await check('')).toBe('NOT_SERVING');
    server.setServing(true);
    expect(await Promise.all([check(''), check('quorate.v1.Kv'), check('quorate.v1.Admin'), check('other')])).toEqual([
      'SERVING',
      'SERVING',
      'SERVING',
      5,
    ]);
    server.setServing(false);
    expect(await check('quorate.v1.Kv')).toBe('NOT_SERVING');
  });
});

describe('reflection', () => {
  const folder = path.resolve(
    createRequire(import.meta.url).resolve('@grpc/reflection'),
    '../../proto/grpc/reflection',
  );

  it.each(['v1', 'v1alpha'])('lists services and describes them (%s)', async (version) => {
    const { address } = await started();
    const file = path.join(folder, version, 'reflection.proto');
    const client = connectTo(address, file, `grpc.reflection.${version}.ServerReflection`);
    const ask = (request: Message): Promise<Message> =>
      new Promise((resolve, reject) => {
        type Call = NodeJS.EventEmitter & { write(request: Message): void; end(): void };
        const call = (client.ServerReflectionInfo as unknown as () => Call).call(client);
        call.on('data', resolve);
        call.on('error', reject);
        call.write(request);
        call.end();
      });
    const { list_services_response: list } = await ask({ list_services: '*' });
    const names = (list as { service: { name: string }[] }).service.map(({ name }) => name);
    expect(names.sort()).toEqual(['quorate.v1.Admin', 'quorate.v1.Kv']);
    const { file_descriptor_response: described } = await ask({ file_containing_symbol: 'quorate.v1.ErrorDetail' });
    const [descriptor] = (described as { file_descriptor_proto: Buffer[] }).file_descriptor_proto;
    for (const word of ['ErrorDetail', 'Stream', 'ShardMap']) expect(descriptor.includes(word)).toBe(true);
  });
});

describe('admin', () => {
  it('gives status and shard map', async () => {
    const backend = new FakeBackend();
    backend.map = twoShardMap(3, ['n1:1', 'n2:1'], [2, undefined]);
    const { address } = await started(backend);
    const admin = rawClient(address, 'Admin');
    onTestFinished(() => admin.close());
    expect(await admin.unary('Status', {})).toMatchObject({
      cluster_id: 'cluster-1',
      nodes: [{ id: 1, client_address: '127.0.0.1:1', pid: 99, live: true, software_version: '0.1.0' }],
      shards: [{ id: 1, end: Buffer.from([0x80]), epoch: { membership: 1, range: 2 }, term: 4, bytes: 123_456 }],
    });
    const map = await admin.unary('ShardMap', {});
    expect(map).toMatchObject({
      revision: 3,
      nodes: [{ id: 1 }, { id: 2, client_address: 'n2:1' }],
      shards: [{ id: 1, leader: 2, replicas: [{ replica: 1, node: 1 }, { node: 2 }] }, { id: 2 }],
    });
    expect((map.shards as Message[])[1]).not.toHaveProperty('leader');
  });

  it('has other nodes have replicas of a shard', async () => {
    const backend = new FakeBackend();
    const { address } = await started(backend);
    const admin = rawClient(address, 'Admin');
    onTestFinished(() => admin.close());
    const replicas = [{ node: 2 }, { node: 4, is_learner: true }, { node: 3 }];
    expect(await admin.unary('ChangeReplicas', { shard: 1, replicas })).toEqual({});
    expect(backend.wanted).toEqual([{ shard: 1, members: { voters: [2, 3], learners: [4] } }]);
    const refused = (request: Message): Promise<unknown> =>
      admin.unary('ChangeReplicas', request).catch((error: unknown) => (error as Error).message);
    expect(await refused({ shard: 1, replicas: [{ node: 4, is_learner: true }] })).toMatch(/shard 1 needs a voter/);
    expect(await refused({ shard: 1, replicas: [{ node: 4 }, { node: 4 }] })).toMatch(/node 4 is named twice/);
    expect(await refused({ shard: 10, replicas })).toMatch(/there is no shard 10/);
  });

  it('removes a node', async () => {
    const backend = new FakeBackend();
    const { address } = await started(backend);
    const admin = rawClient(address, 'Admin');
    onTestFinished(() => admin.close());
    expect(await admin.unary('RemoveNode', { node: 3 })).toEqual({});
    expect(backend.removed).toEqual([3]);
  });

  it('replaces a node', async () => {
    const backend = new FakeBackend();
    const { address } = await started(backend);
    const admin = rawClient(address, 'Admin');
    onTestFinished(() => admin.close());
    expect(await admin.unary('ReplaceNode', { node: 3 })).toEqual({});
    expect(backend.replaced).toEqual([3]);
    const refused = (request: Message): Promise<unknown> =>
      admin.unary('ReplaceNode', request).catch((error: unknown) => (error as Error).message);
    expect(await refused({ node: 10 })).toMatch(/there is no node 10/);
    expect(await refused({})).toMatch(/node/);
  });
});

describe('listen', () => {
  it('names the address that is in use', async () => {
    const { address } = await started();
    await expect(startServer({ address })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `cannot serve clients at ${address}: the address is in use`,
    });
  });

  it('can have the address again after close', async () => {
    const { server, address } = await started();
    server.close();
    const again = await startServer({ address });
    expect(again.address).toBe(address);
    await again[Symbol.asyncDispose]();
  });
});
