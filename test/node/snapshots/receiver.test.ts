import { expect, test } from 'vitest';
import { NodeId, ReplicaId, Term } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import { silentLogger } from '../../../src/env/logger.js';
import { SnapshotReceiver } from '../../../src/node/snapshots/receiver.js';
import { createConfiguration } from '../../../src/raft/config.js';
import { ManualClock, newDisk } from '../../lsm/harness.js';
import { newIndex, newTerm, shard } from './support.js';

test('a Raft snapshot for a replica in another data directory is refused, and no replica is made for it', async () => {
  const spokenTo: number[] = [];
  const receiver = new SnapshotReceiver({
    limits: defaultLimits,
    disk: newDisk(),
    clock: new ManualClock(),
    logger: silentLogger,
    storeId: 'store-here',
    folderOf: (id) => `node/shards/${id}`,
    shardsFolder: 'node/shards',
    shard: () => undefined,
    spokenTo: (_, replica) => spokenTo.push(replica),
    request: () => Promise.reject(new Error('it asks for nothing')),
    onFailure: (error) => expect.unreachable(error.message),
  });
  const snapshot = { index: newIndex, term: newTerm, configuration: createConfiguration({ voters: [ReplicaId(1)] }) };
  const request = {
    type: 'snapshotRequest',
    from: ReplicaId(1),
    to: ReplicaId(7),
    term: Term(newTerm),
    snapshot,
  } as const;
  const offer = (storeId: string | undefined): Promise<unknown> =>
    receiver
      .offer(NodeId(1), { type: 'offerSnapshot', shard, request, checkpoint: 1, manifestBytes: 10, storeId })
      .catch((error: unknown) => error);
  expect(await offer('store-of-before')).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: 'replica 7 of shard 1 is in the data directory store-of-before, not in this one',
  });
  expect(spokenTo).toEqual([]);
  for (const named of ['store-here', undefined]) expect(await offer(named)).toMatchObject({ code: 'UNAVAILABLE' });
  expect(spokenTo).toEqual([7, 7]);
});
