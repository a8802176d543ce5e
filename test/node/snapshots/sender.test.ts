/** When a leader's node offers a Raft snapshot, how long it waits, and when it gives up. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { QuorateError } from '../../../src/base/errors.js';
import { type NodeId, ReplicaId } from '../../../src/base/ids.js';
import { type Deferred, deferred } from '../../../src/base/promises.js';
import type { Limits } from '../../../src/base/limits.js';
import { silentLogger } from '../../../src/env/logger.js';
import { checkpointFolder } from '../../../src/node/snapshots/folders.js';
import { manifestName } from '../../../src/node/snapshots/manifest.js';
import { SnapshotSender } from '../../../src/node/snapshots/sender.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import { Leader, learner, limits, turn, unusedTicksMax } from './leader.js';
import { shard, shardFolder } from './support.js';

interface Offered {
  readonly node: NodeId;
  readonly to: ReplicaId;
  readonly checkpoint: number;
  readonly timeoutMs: number;
  readonly answer: Deferred<PeerResponse>;
}

const bytesPerSecond = 1000;

let leader: Leader;
let offers: Offered[];
let failures: Error[];
let sender: SnapshotSender;

function request(node: NodeId, body: PeerRequest, timeoutMs: number): Promise<PeerResponse> {
  if (body.type !== 'offerSnapshot') throw new Error(body.type);
  const answer = deferred<PeerResponse>();
  offers.push({ node, to: body.request.to, checkpoint: body.checkpoint, timeoutMs, answer });
  return answer.promise;
}

/** The log of a leader begins after all that there is; its followers have nothing of it. */
async function start(changes: Partial<Limits> = {}): Promise<void> {
  leader = await Leader.start(changes);
  [offers, failures] = [[], []];
  const { host, checkpoints, clock } = leader;
  sender = new SnapshotSender({
    limits: { ...limits, snapshotBytesPerSecondMax: bytesPerSecond, ...changes },
    clock,
    logger: silentLogger,
    checkpoints,
    shard: (id) => host.shard(id),
    allowance: (hosted) => host.logAllowance(hosted),
    onFailure: (error) => failures.push(error),
    request,
  });
  host.snapshots = {
    want: (id, to) => sender.want(id, to),
    pinnedIndex: (id) => checkpoints.pinnedIndex(id),
  };
  await leader.write(5);
  await leader.dropLog();
}

beforeEach(async () => {
  await start();
});

/** It shows life, so that the core finds out what it needs. */
async function showLife(follower = learner): Promise<void> {
  await leader.answerHeartbeat(follower);
}

/** What the core waits with before it asks again. */
async function afterPause(): Promise<void> {
  leader.clock.advance(300);
  await turn();
}

describe('a Raft snapshot', () => {
  test('is offered to one follower after the other, with room for a minute and ten times what it takes at the full rate', async () => {
    await showLife();
    await showLife(ReplicaId(3));
    expect(offers.map(({ node, to }) => [node, to])).toEqual([[2, 2]]);
    const { bytes } = await leader.checkpoints.acquire(leader.hosted, learner);
    expect(offers[0].timeoutMs).toBe(60_000 + (10 * 1000 * bytes) / bytesPerSecond);
    offers[0].answer.resolve({ type: 'snapshotTaken' });
    await turn();
    expect(offers.map(({ node, to }) => [node, to])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    expect(offers[1].checkpoint).toBe(offers[0].checkpoint);
  });

  test('is read as fast as the node may send, whoever asks', async () => {
    await showLife();
    const [{ checkpoint }] = offers;
    const read = { type: 'readSnapshot', shard, checkpoint, file: manifestName, offset: 0, bytesMax: 50 } as const;
    let answered = 0;
    const answer = async (): Promise<void> => {
      const response = await sender.read(read);
      answered += response.type === 'snapshotChunk' ? response.bytes.length : 0;
    };
    const reads = [answer(), answer()];
    await turn();
    expect(answered).toBe(50);
    leader.clock.advance((1000 * 50) / bytesPerSecond - 1);
    await turn();
    expect(answered).toBe(50);
    leader.clock.advance(1);
    await Promise.all(reads);
    expect(answered).toBe(100);
  });

  test('that took too long is offered again, of the same checkpoint, as soon as the follower shows life', async () => {
    await showLife();
    offers[0].answer.reject(new QuorateError('DEADLINE_EXCEEDED', 'no answer'));
    await turn();
    await showLife();
    expect(offers).toHaveLength(1);
    // As long as for a transfer that is to go on, not only for others.
    for (let i = 0; i <= unusedTicksMax.delivered; i++) leader.checkpoints.tick();
    await afterPause();
    await showLife();
    expect(offers.map(({ to, checkpoint }) => [to, checkpoint])).toEqual([
      [learner, offers[0].checkpoint],
      [learner, offers[0].checkpoint],
    ]);
  });
});

describe('a Raft snapshot is given up, and another offered, when the log after it becomes longer', () => {
  test('than twice what is kept for a follower that is away', async () => {
    await start({ shardLogBytesMax: 2000 });
    await expectGivenUpAt(4000);
  });

  test('than the tables of the shard are', async () => {
    await start({ shardLogBytesMax: 1 });
    const { bytes } = leader.hosted.tree.stats();
    expect(bytes).toBeGreaterThan(200);
    await expectGivenUpAt(bytes);
  });

  test('than what is kept for a follower that is away, on a full disk', async () => {
    await start({ shardLogBytesMax: 2000 });
    vi.spyOn(leader.host, 'isDiskFull', 'get').mockReturnValue(true);
    await expectGivenUpAt(2000);
  });

  async function expectGivenUpAt(logBytes: number): Promise<void> {
    const { logPrefix } = leader.hosted.replica;
    const isSent = async (): Promise<boolean> => {
      sender.tick();
      await turn();
      return leader.checkpoints.pinnedIndex(shard) !== undefined;
    };
    await showLife();
    while (logPrefix.bytes < logBytes - 100) await leader.write();
    expect(await isSent()).toBe(true);
    while (logPrefix.bytes < logBytes + 100) await leader.write();
    expect(await isSent()).toBe(false);
    await afterPause();
    await showLife();
    expect(offers).toHaveLength(2);
    expect(offers[1].checkpoint).not.toBe(offers[0].checkpoint);
  }
});

describe('a leader that leads no more', () => {
  test('gives up what it sends, and offers to nobody who waits', async () => {
    await showLife();
    await showLife(ReplicaId(3));
    sender.tick();
    await turn();
    expect(leader.checkpoints.pinnedIndex(shard)).toBeDefined();
    await leader.depose();
    sender.tick();
    await turn();
    expect(leader.checkpoints.pinnedIndex(shard)).toBeUndefined();
    await afterPause();
    await sender.settled();
    expect(offers).toHaveLength(1);
    expect(failures).toEqual([]);
  });

  test('gives up what it sends also where it leads again: the core asks anew', async () => {
    await showLife();
    await leader.depose();
    await leader.campaign();
    expect(leader.hosted.replica.isLeader).toBe(true);
    sender.tick();
    await turn();
    expect(leader.checkpoints.pinnedIndex(shard)).toBeUndefined();
  });
});

describe('a node that stops', () => {
  test('gives up what it sends, and begins nothing', async () => {
    await showLife();
    sender.stop();
    await sender.settled();
    await showLife(ReplicaId(3));
    expect(offers).toHaveLength(1);
  });
});

describe('a Raft snapshot that a follower found damaged', () => {
  const damaged = (): PeerResponse => ({
    type: 'failed',
    error: new QuorateError('CORRUPTION', 'a table is damaged'),
    leader: undefined,
  });

  test('has the node look at its own files, and stop where they are', async () => {
    await showLife();
    const folder = checkpointFolder(shardFolder, offers[0].checkpoint);
    const table = (await leader.disk.list(folder)).find((name) => name.endsWith('.sst'));
    leader.disk.corrupt(`${folder}/${table}`, 10);
    offers[0].answer.resolve(damaged());
    await turn();
    expect(failures).toMatchObject([{ name: 'CorruptionError', file: `${shardFolder}/${table}` }]);
  });

  test('is offered again of another checkpoint where they are not', async () => {
    await showLife();
    offers[0].answer.resolve(damaged());
    await turn();
    await afterPause();
    await showLife();
    expect(failures).toEqual([]);
    expect(offers).toHaveLength(2);
    expect(offers[1].checkpoint).not.toBe(offers[0].checkpoint);
  });
});
