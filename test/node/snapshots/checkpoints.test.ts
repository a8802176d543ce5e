/** Which checkpoint a Raft snapshot is sent from, how long it stays, and what is read of it. */
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { maskedCrc32 } from '../../../src/base/checksum.js';
import { type LogIndex, ReplicaId } from '../../../src/base/ids.js';
import { deferred } from '../../../src/base/promises.js';
import { isMember } from '../../../src/raft/config.js';
import type { Checkpoint, CheckpointSource } from '../../../src/node/snapshots/checkpoints.js';
import { checkpointFolder } from '../../../src/node/snapshots/folders.js';
import { decodeManifest, manifestName } from '../../../src/node/snapshots/manifest.js';
import { Leader, learner, turn, unusedTicksMax } from './leader.js';
import { shard, shardFolder } from './support.js';

let leader: Leader;

beforeEach(async () => {
  leader = await Leader.start();
});

function folderOf({ number }: Checkpoint): string {
  return checkpointFolder(shardFolder, number);
}

/** Path of a table in the checkpoint. */
async function tableOf(checkpoint: Checkpoint): Promise<string> {
  const folder = folderOf(checkpoint);
  const name = (await leader.disk.list(folder)).find((file) => file.endsWith('.sst'));
  return `${folder}/${name}`;
}

function read(checkpoint: Checkpoint, file: string, offset = 0, bytesMax = 1000): Promise<{ bytes: Uint8Array }> {
  return leader.checkpoints.read(shard, checkpoint.number, file, offset, bytesMax);
}

describe('a checkpoint', () => {
  test('is of the entry that was applied, and its manifest has all of its files', async () => {
    await leader.write(3);
    const { hosted, disk, checkpoints } = leader;
    const checkpoint = await checkpoints.acquire(hosted, learner);
    const { appliedIndex, term, snapshots } = hosted.replica;
    expect(checkpoint.snapshot).toEqual({ index: appliedIndex, term, configuration: snapshots.configuration });
    const bytes = disk.content(`${folderOf(checkpoint)}/${manifestName}`);
    const { files, ...head } = decodeManifest(bytes);
    expect(head).toEqual({ shard, index: appliedIndex, term });
    expect(
      files
        .map(({ name }) => name)
        .concat(manifestName)
        .sort(),
    ).toEqual(await disk.list(folderOf(checkpoint)));
    const sum = files.reduce((total, file) => total + file.bytes, bytes.length);
    expect([checkpoint.manifestBytes, checkpoint.bytes]).toEqual([bytes.length, sum]);
  });

  test('is read piece by piece, no further than it goes; not what is not of it', async () => {
    const checkpoint = await leader.checkpoints.acquire(leader.hosted, learner);
    const whole = leader.disk.content(`${folderOf(checkpoint)}/${manifestName}`);
    const bytes = whole.slice(5, 15);
    expect(await read(checkpoint, manifestName, 5, 10)).toEqual({ bytes, checksum: maskedCrc32(bytes) });
    expect((await read(checkpoint, manifestName, 5)).bytes).toEqual(whole.slice(5));
    expect((await read(checkpoint, manifestName, 5000)).bytes).toHaveLength(0);
    const isNone = { code: 'INVALID_ARGUMENT' };
    await expect(read(checkpoint, '../1/CURRENT')).rejects.toMatchObject(isNone);
    await expect(read({ ...checkpoint, number: 99 }, manifestName)).rejects.toMatchObject(isNone);
  });

  test('serves all followers that it knows, as long as the log goes on from it', async () => {
    const { checkpoints, hosted } = leader;
    const first = await checkpoints.acquire(hosted, learner);
    await leader.write();
    expect((await checkpoints.acquire(hosted, ReplicaId(3))).number).toBe(first.number);
    // One that has come since is not in it.
    await leader.haveLearners(2, 3, 4);
    const second = await checkpoints.acquire(hosted, ReplicaId(4));
    expect(second.number).not.toBe(first.number);
    expect(isMember(second.snapshot.configuration, ReplicaId(4))).toBe(true);
    checkpoints.outdate(shard);
    const third = await checkpoints.acquire(hosted, learner);
    await leader.write();
    await leader.dropLog();
    expect((await checkpoints.acquire(hosted, learner)).number).not.toBe(third.number);
  });

  test('stays for a transfer that broke, although another follower has what it wanted', async () => {
    const { checkpoints, hosted } = leader;
    const checkpoint = await checkpoints.acquire(hosted, learner);
    await checkpoints.acquire(hosted, ReplicaId(3));
    checkpoints.release(checkpoint, learner, 'failed');
    checkpoints.release(checkpoint, ReplicaId(3), 'delivered');
    for (let i = 0; i < unusedTicksMax.delivered; i++) checkpoints.tick();
    await turn();
    expect(await leader.folders()).toEqual(['1', '1.checkpoint-1']);
    // It has it now.
    checkpoints.release(await checkpoints.acquire(hosted, learner), learner, 'delivered');
    for (let i = 0; i < unusedTicksMax.delivered; i++) checkpoints.tick();
    await turn();
    expect(await leader.folders()).toEqual(['1']);
  });

  test('goes at once when another takes its place, where nobody uses it and the log does not go on from it', async () => {
    const { checkpoints, hosted } = leader;
    checkpoints.release(await checkpoints.acquire(hosted, learner), learner, 'failed');
    await leader.write();
    await leader.dropLog();
    await checkpoints.acquire(hosted, learner);
    await turn();
    expect(await leader.folders()).toEqual(['1', '1.checkpoint-2']);
  });

  test('stays a while after its last use, then goes', async () => {
    const { checkpoints, hosted } = leader;
    const checkpoint = await checkpoints.acquire(hosted, learner);
    for (let i = 0; i < 20; i++) checkpoints.tick();
    checkpoints.release(checkpoint, learner, 'delivered');
    for (let i = 0; i < 4; i++) checkpoints.tick();
    await turn();
    // Used again, so that the time begins anew.
    checkpoints.release(await checkpoints.acquire(hosted, learner), learner, 'delivered');
    for (let i = 0; i < 4; i++) checkpoints.tick();
    await turn();
    expect(await leader.folders()).toEqual(['1', '1.checkpoint-1']);
    checkpoints.tick();
    await turn();
    expect(await leader.folders()).toEqual(['1']);
  });

  test('of which nothing is left when all is closed, not even of one that was being made', async () => {
    const made = leader.checkpoints.acquire(leader.hosted, learner);
    await leader.checkpoints.close();
    expect(await leader.folders()).toEqual(['1']);
    await made;
  });
});

/** A tree whose checkpoints are ready when the test says so. */
function held(): { source: CheckpointSource; go: () => Promise<void> } {
  const { replica, tree } = leader.hosted;
  const gate = deferred<void>();
  const checkpoint = async (folder: string): Promise<LogIndex> => {
    const index = await tree.checkpoint(folder);
    await gate.promise;
    return index;
  };
  const go = async (): Promise<void> => {
    gate.resolve();
    await setImmediate();
  };
  return { source: { replica, tree: { checkpoint } }, go };
}

describe('a checkpoint that is being made', () => {
  test('is not sent when another configuration was applied meanwhile: the next one has it', async () => {
    const { checkpoints, hosted } = leader;
    const { source, go } = held();
    const made = checkpoints.acquire(source, learner).catch((error: unknown) => error);
    await turn();
    await leader.haveLearners(2, 3, 4);
    await go();
    expect(await made).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'shard 1 changed while a checkpoint was made',
    });
    expect(await leader.folders()).toEqual(['1']);
    expect(checkpoints.pinnedIndex(shard)).toBeUndefined();
    const next = await checkpoints.acquire(hosted, ReplicaId(4));
    expect(next.snapshot.configuration.learners).toEqual([2, 3, 4]);
  });

  test('pins the log already, from where it was asked for, and no more when nobody uses it', async () => {
    const { checkpoints } = leader;
    const { source, go } = held();
    const { appliedIndex } = leader.hosted.replica;
    const made = checkpoints.acquire(source, learner);
    await leader.write(5);
    expect(checkpoints.pinnedIndex(shard)).toBe(appliedIndex);
    await go();
    expect(checkpoints.pinnedIndex(shard)).toBe(appliedIndex);
    checkpoints.release(await made, learner, 'delivered');
    expect(checkpoints.pinnedIndex(shard)).toBeUndefined();
  });
});

describe('a checkpoint that a follower found damaged', () => {
  test('is not used again, and names the file of the shard that is damaged', async () => {
    const { checkpoints, hosted, disk } = leader;
    const checkpoint = await checkpoints.acquire(hosted, learner);
    const table = await tableOf(checkpoint);
    disk.corrupt(table, 10);
    const file = table.replace(folderOf(checkpoint), shardFolder);
    await expect(checkpoints.examine(checkpoint)).rejects.toMatchObject({ name: 'CorruptionError', file });
    await expect(read(checkpoint, manifestName)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await turn();
    expect(await leader.folders()).toEqual(['1']);
  });

  test.each([
    ['nothing', undefined],
    ['a file that it alone has', 'CURRENT'],
  ])('is not used again where %s of it is, either, and nobody is blamed', async (_, name) => {
    const { checkpoints, hosted, disk } = leader;
    const checkpoint = await checkpoints.acquire(hosted, learner);
    const other = await checkpoints.acquire(hosted, ReplicaId(3));
    if (name !== undefined) disk.corrupt(`${folderOf(checkpoint)}/${name}`, 2);
    await checkpoints.examine(checkpoint);
    checkpoints.release(checkpoint, learner, 'delivered');
    checkpoints.release(other, learner, 'delivered');
    await turn();
    expect(await leader.folders()).toEqual(['1']);
    expect((await checkpoints.acquire(hosted, learner)).number).not.toBe(checkpoint.number);
  });
});
