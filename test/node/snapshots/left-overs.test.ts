/** What becomes of a Raft snapshot that was fetched in part, when the transfer broke. */
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { defined } from '../../../src/base/assert.js';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId, Term } from '../../../src/base/ids.js';
import { deferred } from '../../../src/base/promises.js';
import { incomingFolder } from '../../../src/node/snapshots/folders.js';
import { LeftOvers, type Source } from '../../../src/node/snapshots/left-overs.js';
import { decodeManifest, encodeManifest, manifestName } from '../../../src/node/snapshots/manifest.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { ManualClock, newDisk } from '../../lsm/harness.js';
import {
  answerTo,
  chunkBytes,
  Follower,
  leftOverTicksMax,
  offerOf,
  prepareFollower,
  type Sent,
  shardOf,
} from './follower.js';
import { newTerm, shardFolder, shardsFolder } from './support.js';

type Read = Extract<PeerRequest, { readonly type: 'readSnapshot' }>;

const incoming = incomingFolder(shardFolder);
const broken = new QuorateError('UNAVAILABLE', 'the connection broke', { retryable: false });

let disk: SimDisk;
let sent: Sent;
let follower: Follower;
/** Of the transfer that is under way. */
let reads: Read[];
/** Undefined where the read is answered as it should be. */
let fault: (read: Read) => QuorateError | undefined;
/** Something else than the right answer. */
let hold: (read: Read) => Promise<PeerResponse> | undefined;

async function start(): Promise<void> {
  follower = await Follower.start(disk, new ManualClock(), (_node, body) => {
    if (body.type !== 'readSnapshot') throw new Error(body.type);
    reads.push(body);
    const error = fault(body);
    return error === undefined ? (hold(body) ?? Promise.resolve(answerTo(body, sent))) : Promise.reject(error);
  });
}

beforeEach(async () => {
  disk = newDisk();
  sent = await prepareFollower(disk);
  [reads, fault, hold] = [[], () => undefined, () => undefined];
  await start();
});

function offer(checkpoint = 7): Promise<unknown> {
  reads = [];
  return follower.offer(offerOf(checkpoint, sizeOf(manifestName))).catch((error: unknown) => error);
}

function sizeOf(name: string): number {
  return sent.get(name)?.length ?? 0;
}

function bytesOf(files: Sent): number {
  return [...files.values()].reduce((sum, { length }) => sum + length, 0);
}

function table(): string {
  return [...sent.keys()].find((name) => name.endsWith('.sst')) ?? '';
}

/** The transfer breaks in the middle of a table. */
async function breakOff(): Promise<void> {
  fault = ({ file, offset }) => (file === table() && offset > 0 ? broken : undefined);
  expect(await offer()).toBe(broken);
  fault = () => undefined;
  expect(await disk.list(incoming)).toContain(table());
}

/** As offset and file: what was asked for but the manifest. */
function asked(): string[] {
  return reads.filter(({ file }) => file !== manifestName).map(({ file, offset }) => `${file} ${offset}`);
}

function installed(): boolean {
  return follower.receiver.stats.installed === 1;
}

describe('a transfer of the same checkpoint', () => {
  test('goes on in the middle of the file, and fetches nothing twice but the manifest', async () => {
    await breakOff();
    await offer();
    expect(installed()).toBe(true);
    expect(asked()[0]).toBe(`${table()} ${chunkBytes}`);
    expect(follower.receiver.stats.bytes).toBe(bytesOf(sent) + sizeOf(manifestName));
    expect(await disk.list(shardsFolder)).toEqual(['1']);
  });

  test('that comes while it is on its way, in a later term of the leader, is the same, and ends as one', async () => {
    const first = deferred<PeerResponse>();
    let held: Read | undefined;
    hold = (read) => {
      if (held !== undefined) return undefined;
      held = read;
      return first.promise;
    };
    const ends = [offer()];
    await setImmediate();
    follower.heartbeat(2, newTerm + 1);
    const again = offerOf(7, sizeOf(manifestName), Term(newTerm + 1));
    ends.push(follower.offer(again).catch((error: unknown) => error));
    follower.receiver.tick();
    first.resolve(answerTo(defined(held, 'a read'), sent));
    expect(await Promise.all(ends)).toEqual([{ type: 'snapshotTaken' }, { type: 'snapshotTaken' }]);
    expect(installed()).toBe(true);
    expect(follower.receiver.stats.bytes).toBe(bytesOf(sent));
  });

  test('begins anew where its manifest is another', async () => {
    await breakOff();
    const { files, ...head } = decodeManifest(sent.get(manifestName) ?? new Uint8Array(0));
    sent = new Map([...sent, [manifestName, encodeManifest({ ...head, files: [...files].reverse() })]]);
    await offer();
    expect(installed()).toBe(true);
    expect(asked()).toContain(`${table()} 0`);
  });

  test('begins anew after damage in what was fetched, wherever that came from', async () => {
    await breakOff();
    disk.corrupt(`${incoming}/${table()}`, 10);
    expect(await offer()).toMatchObject({ code: 'CORRUPTION' });
    expect(await disk.exists(incoming)).toBe(false);
    await offer();
    expect(installed()).toBe(true);
    expect(asked()).toContain(`${table()} 0`);
  });

  test('begins anew after a restart, which removes what there is', async () => {
    await breakOff();
    await follower.stop();
    await start();
    expect(await disk.exists(incoming)).toBe(false);
    await offer();
    expect(asked()).toContain(`${table()} 0`);
  });
});

describe('what was fetched goes', () => {
  test('when another checkpoint is offered', async () => {
    await breakOff();
    fault = () => broken;
    await offer(8);
    expect(await disk.exists(incoming)).toBe(false);
    fault = () => undefined;
    await offer(7);
    expect(asked()).toContain(`${table()} 0`);
  });

  test('when the sender does not have the checkpoint any more', async () => {
    await breakOff();
    const gone = new QuorateError('INVALID_ARGUMENT', 'there is no such checkpoint (any more)');
    fault = () => gone;
    expect(await offer()).toBe(gone);
    expect(await disk.exists(incoming)).toBe(false);
  });

  test('when nobody goes on with it for as long as the sender has the checkpoint', async () => {
    await breakOff();
    for (let i = 1; i < leftOverTicksMax; i++) follower.receiver.tick();
    await setImmediate();
    expect(await disk.exists(incoming)).toBe(true);
    follower.receiver.tick();
    await setImmediate();
    expect(await disk.exists(incoming)).toBe(false);
  });

  test('with its replica', async () => {
    await breakOff();
    const hosted = shardOf(follower.host);
    follower.host.depart(hosted, { type: 'removed', nextReplica: ReplicaId(9) });
    for (let i = 0; i < 5; i++) await setImmediate();
    expect(await disk.list(shardsFolder)).toEqual(['1.gone-9']);
    follower.receiver.tick();
    expect(follower.failures).toEqual([]);
  });

  test('with its replica, while more of it is fetched', async () => {
    const answer = deferred<PeerResponse>();
    let held: Read | undefined;
    hold = (read) => {
      if (read.file === manifestName || held !== undefined) return undefined;
      held = read;
      return answer.promise;
    };
    const offered = offer();
    await setImmediate();
    follower.host.depart(shardOf(follower.host), { type: 'removed', nextReplica: ReplicaId(9) });
    for (let i = 0; i < 5; i++) await setImmediate();
    answer.resolve(answerTo(defined(held, 'a read'), sent));
    expect(await offered).toMatchObject({ code: 'UNAVAILABLE' });
    expect(follower.failures).toEqual([]);
    expect(await disk.list(shardsFolder)).toEqual(['1.gone-9']);
  });

  test('the oldest first, where there would be more of them than snapshots are fetched at a time', async () => {
    const removed: number[] = [];
    const { replica } = shardOf(follower.host);
    const leftOvers = new LeftOvers({
      countMax: 2,
      ticksMax: 100,
      replica: () => replica,
      remove: (id) => Promise.resolve(void removed.push(id)),
    });
    const of = (id: number): Source => ({
      from: NodeId(2),
      replica,
      offer: { ...offerOf(1, 10), shard: ShardId(id) },
    });
    for (const id of [3, 4]) leftOvers.keep(of(id), { manifest: undefined, files: new Map() });
    leftOvers.makeRoom(0);
    expect(removed).toEqual([]);
    leftOvers.makeRoom(1);
    expect(removed).toEqual([3]);
    await leftOvers.settled();
  });

  test('at once, where its replica is gone before', () => {
    const { replica } = shardOf(follower.host);
    const remove = (): Promise<void> => Promise.resolve();
    const leftOvers = new LeftOvers({ countMax: 2, ticksMax: 100, replica: () => undefined, remove });
    leftOvers.keep({ from: NodeId(2), replica, offer: offerOf(1, 10) }, { manifest: undefined, files: new Map() });
    expect(leftOvers.has(ShardId(1))).toBe(false);
  });
});
