import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId, Timestamp } from '../../src/base/ids.js';
import { defaultLimits } from '../../src/base/limits.js';
import type { Operation, OperationResult } from '../../src/mvcc/operations.js';
import type { PlacementGroup } from '../../src/node/placement-group.js';
import { PeerRequests, type PeerRequestsOptions } from '../../src/node/peer-requests.js';
import type { PlacementLeader } from '../../src/placement/placement-leader.js';
import type { PeerRequest, PeerResponse } from '../../src/rpc/peer-messages.js';

const epoch = { membership: 1, range: 1 };
const get: Operation = { type: 'get', key: utf8('k'), consistency: 'linearizable' };
const found: OperationResult = { type: 'found', version: Timestamp(1), value: new Uint8Array(1000) };
const shard = { shard: ShardId(1), start: utf8(''), end: utf8(''), epoch, replicas: [] };

interface Answered {
  readonly response: PeerResponse;
  readonly failures: readonly unknown[];
}

/** What node 2 is answered, and what made this node stop. Operations are answered with `found`. */
async function ask(
  body: PeerRequest,
  placementLeader: Partial<PlacementLeader & PlacementGroup> = {},
  relay?: PeerRequestsOptions['request'],
): Promise<Answered> {
  const failures: unknown[] = [];
  const options = {
    nodeId: NodeId(1),
    request: relay,
    limits: { ...defaultLimits, batchOperationsMax: 2, keyBytesMax: 10 },
    shardMap: () => ({ byId: () => shard }),
    executor: () => undefined,
    router: {
      executeHere: (_shard: unknown, _operation: unknown, _ms: number, done: (r: OperationResult) => void) =>
        done(found),
    },
    placementLeader,
    nodeWishes: () => ({ begin: () => Promise.resolve({ type: 'replacementBegun', storeId: undefined }) }),
    status: () => ({ node: NodeId(1), pid: 1, softwareVersion: '1', replicas: [] }),
    leaderOf: () => NodeId(3),
    hosted: () => ({ replica: { leaderNode: NodeId(3), standing: 'unfilled' } }),
    addressOf: (node: NodeId) => `p:${node}`,
    onFailure: (error: unknown) => failures.push(error),
  } as unknown as PeerRequestsOptions;
  const response = await new Promise<PeerResponse>((respond) => {
    new PeerRequests(options).handle(
      NodeId(2),
      { type: 'request', id: 1, timeoutMs: 100, relay: relay !== undefined, body },
      respond,
    );
  });
  return { response, failures };
}

describe('of another node', () => {
  test('only the node itself says that its directory is damaged; others pass on what operators want', async () => {
    const replace = { type: 'replaceNode', storeId: 'store-3' } as const;
    const { response } = await ask({ ...replace, node: NodeId(3) });
    expect(response).toMatchObject({ type: 'failed', error: { code: 'INVALID_ARGUMENT', retryable: false } });
    expect((await ask({ ...replace, node: NodeId(2) })).response).toMatchObject({ type: 'replacementBegun' });
    expect((await ask({ ...replace, node: NodeId(3), storeId: undefined })).response).toMatchObject({
      type: 'replacementBegun',
    });
  });

  test('operations are validated one by one', async () => {
    const longKey: Operation = { ...get, key: new Uint8Array(11) };
    const { response } = await ask({ type: 'execute', shard: ShardId(1), epoch, operations: [get, longKey] });
    expect(response).toMatchObject({
      type: 'executed',
      results: [found, { type: 'failed', error: { code: 'INVALID_ARGUMENT' } }],
    });
    expect(JSON.stringify(response)).not.toContain('INTERNAL');
  });

  test('a page of a shard that is led elsewhere is answered with its leader', async () => {
    const range = { start: utf8(''), end: utf8(''), at: Timestamp(1), reverse: false, keysOnly: false };
    const page = { ...range, bytesMax: 1, recordsMax: 1, consistency: 'linearizable' } as const;
    const { response } = await ask({ type: 'scanPage', shard: ShardId(1), epoch, ...page });
    expect(response).toMatchObject({ type: 'failed', error: { code: 'NOT_LEADER' }, leader: 3 });
  });

  test('more operations than a batch may have are refused', async () => {
    const { response } = await ask({ type: 'execute', shard: ShardId(1), epoch, operations: [get, get, get] });
    expect(response).toMatchObject({ type: 'failed', error: { code: 'INVALID_ARGUMENT' } });
  });

  test('a registration in the name of a third is refused', async () => {
    const body = { type: 'registerNode', storeId: 's', clientAddress: 'a:1', peerAddress: 'a:2' } as const;
    const registered: number[] = [];
    const leader = { register: ({ id }: { id: NodeId }) => Promise.resolve(void registered.push(id)) };
    const refused = await ask({ ...body, node: NodeId(3) }, leader);
    expect(refused.response).toMatchObject({ type: 'failed', error: { code: 'INVALID_ARGUMENT' } });
    expect((await ask({ ...body, node: NodeId(2) }, leader)).response).toEqual({ type: 'registered' });
    expect(registered).toEqual([2]);
  });

  test('a registration that is for another node is answered with where that one listens', async () => {
    const body = {
      type: 'registerNode',
      node: NodeId(2),
      storeId: 's',
      clientAddress: 'a:1',
      peerAddress: 'a:2',
    } as const;
    const register = (): Promise<void> => Promise.reject(new QuorateError('NOT_LEADER', 'not me'));
    const leader = { register, leaderNode: NodeId(4) } as Partial<PlacementLeader>;
    const { response } = await ask(body, leader);
    expect(response).toMatchObject({ type: 'failed', leader: 4, leaderAddress: 'p:4' });
  });

  test('a registration with what is no address is refused, since nobody could dial it', async () => {
    const body = { type: 'registerNode', node: NodeId(2), storeId: 's', clientAddress: 'a:1' } as const;
    const { response } = await ask({ ...body, peerAddress: 'a:70000' }, { register: () => Promise.resolve() });
    const message = '"a:70000" is no address: expected host:port (an IPv6 host in brackets, a port from 1 to 65535)';
    expect(response).toMatchObject({ type: 'failed', error: { code: 'INVALID_ARGUMENT', message } });
  });

  test('a request that fails as foreseen is answered with the error', async () => {
    const error = new QuorateError('NOT_LEADER', 'not me');
    const { response, failures } = await ask(
      { type: 'timestamps', count: 1, voucher: undefined },
      { timestamps: () => Promise.reject(error) },
    );
    expect([response, failures]).toEqual([{ type: 'failed', error, leader: undefined }, []]);
  });

  test('a request that meets a bug stops this node', async () => {
    const bug = new AssertionError('a bug');
    const { response, failures } = await ask(
      { type: 'timestamps', count: 1, voucher: undefined },
      { timestamps: () => Promise.reject(bug) },
    );
    expect(response).toMatchObject({ type: 'failed', error: { code: 'INTERNAL', outcome: 'unknown' } });
    expect(failures).toEqual([bug]);
  });
});

describe('what a node cannot take to the leader itself', () => {
  const execute: PeerRequest = { type: 'execute', shard: ShardId(1), epoch, operations: [get] };

  test('is handed on within the same time, without leave to hand it on again, and the answer goes back', async () => {
    const handedOn: unknown[] = [];
    const executed: PeerResponse = { type: 'executed', results: [found] };
    const { response } = await ask(execute, {}, (...request) => {
      handedOn.push(request);
      return Promise.resolve(executed);
    });
    expect(response).toBe(executed);
    expect(handedOn).toEqual([[3, execute, 100]]);
  });

  test.each(['notApplied', 'unknown'] as const)(
    'fails with who could not reach whom, and the outcome %s',
    async (outcome) => {
      const error = new QuorateError('UNAVAILABLE', 'node 3 cannot be reached', { outcome, retryAfterMs: 50 });
      const { response, failures } = await ask(execute, {}, () => Promise.reject(error));
      const message = 'node 1 could not hand it on to node 3, which leads: node 3 cannot be reached';
      const { code, retryable, retryAfterMs } = error;
      expect(response).toMatchObject({ type: 'failed', error: { code, message, outcome, retryable, retryAfterMs } });
      expect(failures).toEqual([]);
    },
  );

  test('is answered here where no leader is known', async () => {
    const timestamps = (): Promise<Timestamp> => Promise.reject(new QuorateError('NOT_LEADER', 'not me'));
    const body: PeerRequest = { type: 'timestamps', count: 1, voucher: undefined };
    const { response } = await ask(body, { timestamps, leaderNode: undefined }, () =>
      Promise.reject(new Error('asked')),
    );
    expect(response).toMatchObject({ type: 'failed', error: { code: 'NOT_LEADER' } });
  });

  test('is known by what a replica hears, which a node says that is asked about the group', async () => {
    const { response } = await ask({ type: 'askStanding', shard: ShardId(1), replica: ReplicaId(2) });
    expect(response).toEqual({ type: 'standing', group: undefined, leader: 3 });
  });
});
