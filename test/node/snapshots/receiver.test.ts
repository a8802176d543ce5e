import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId, Term } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import { silentLogger } from '../../../src/env/logger.js';
import { SnapshotReceiver } from '../../../src/node/snapshots/receiver.js';
import { createConfiguration } from '../../../src/raft/config.js';
import type { PeerResponse } from '../../../src/rpc/peer-messages.js';
import { ManualClock, newDisk } from '../../lsm/harness.js';
import { deferred } from '../../../src/base/promises.js';
import { Follower, offerOf, prepareFollower } from './follower.js';
import { descriptor, newIndex, newTerm, shard } from './support.js';

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
    leftOverTicksMax: 1,
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

test('so many Raft snapshots are fetched at a time as the limit says, and no more', async () => {
  const disk = newDisk();
  await prepareFollower(disk);
  const answer = deferred<PeerResponse>();
  const follower = await Follower.start(disk, new ManualClock(), () => answer.promise);
  const shards = Array.from({ length: defaultLimits.snapshotsInFlightMax + 1 }, (_, i) => ShardId(shard + i));
  for (const id of shards.slice(1)) await follower.host.create({ ...descriptor, shard: id });
  const ends = shards.map((id) => {
    let end: unknown = 'under way';
    follower.offer({ ...offerOf(1, 100), shard: id }).catch((error: unknown) => (end = error));
    return () => end;
  });
  await setImmediate();
  const [refused, ...others] = ends.toReversed();
  expect(refused()).toMatchObject({ code: 'OVERLOADED', shard: shards.at(-1) });
  expect(others.map((end) => end())).toEqual(others.map(() => 'under way'));
  answer.reject(new QuorateError('UNAVAILABLE', 'the connection broke'));
  await follower.stop();
});

describe('a Raft snapshot that is being fetched', () => {
  const termOfOffer = 3;

  /** What becomes of the offer when a tick comes after these heartbeats: a replica, and the term that it leads in. */
  async function endAfter(...heartbeats: [from: number, term: number][]): Promise<unknown> {
    const disk = newDisk();
    await prepareFollower(disk);
    const answer = deferred<PeerResponse>();
    const follower = await Follower.start(disk, new ManualClock(), () => answer.promise);
    let end: unknown = 'under way';
    follower.offer(offerOf(1, 100, Term(termOfOffer))).catch((error: unknown) => {
      end = error;
    });
    await setImmediate();
    for (const [from, term] of heartbeats) follower.heartbeat(from, term);
    follower.receiver.tick();
    answer.resolve({ type: 'snapshotChunk', bytes: new Uint8Array(1), checksum: 0 });
    await setImmediate();
    const seen = end;
    await follower.stop();
    return seen;
  }

  test('is given up when another node leads', async () => {
    expect(await endAfter([3, 4])).toMatchObject({ code: 'NOT_LEADER', message: 'another node leads' });
  });

  test.each([
    ['nobody else does', []],
    ['one leads again that did before', [[2, 4]]],
    ['another led before it', [[3, 2]]],
  ] as const)('goes on when %s', async (_, heartbeats) => {
    expect(await endAfter(...heartbeats.map(([from, term]): [number, number] => [from, term]))).toBe('under way');
  });
});
