/**
 * The power is lost, or the process killed, at every operation of the disk in turn. Afterwards the log holds what a
 * prefix of the operations says, of all groups together, that reaches at least as far as what was acknowledged.
 */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import type { MaybePromise } from '../../src/base/promises.js';
import { DiskError } from '../../src/env/disk.js';
import type { CrashKeeps, SimDisk } from '../../src/sim/disk.js';
import { NaiveLog } from './naive-log.js';
import { contentOf, newDisk, openLog, perform, settle, toText, type GroupContent, type Operation } from './support.js';

const shards = [0, 3, 9];
const options = { segmentBytesMax: 500, cacheBytesMax: 300 };

/** Operations in the order in which they were asked for; those before `acknowledged` are surely durable. */
interface History {
  readonly operations: Operation[];
  acknowledged: number;
}

function replayed(history: History, count: number): NaiveLog {
  const naive = new NaiveLog();
  for (const operation of history.operations.slice(0, count)) naive.apply(operation);
  return naive;
}

/** Goes on with the log on the disk until it crashes, or `steps` are over. */
async function work(disk: SimDisk, history: History, random: Prng, steps: number): Promise<void> {
  const naive = replayed(history, history.operations.length);
  const log = await openLog(disk, options);
  const pending: Promise<void>[] = [];
  for (let step = 0; step < steps && log.failed === undefined; step++) {
    const operation = naive.next(random, random.pick(shards));
    naive.apply(operation);
    history.operations.push(operation);
    const count = history.operations.length;
    const done = perform(log, operation);
    if (operation.type === 'append') {
      pending.push(
        done.then(
          () => {
            history.acknowledged = Math.max(history.acknowledged, count);
          },
          (error: unknown) => expect(error).toBeInstanceOf(DiskError),
        ),
      );
    }
    if (random.chance(0.5)) await Promise.all(pending.splice(0));
  }
  await Promise.all(pending);
  await log.close();
  history.acknowledged = history.operations.length;
}

async function textOf(content: (id: number) => MaybePromise<GroupContent>): Promise<string> {
  const texts: string[] = [];
  for (const id of shards) texts.push(`shard ${id} ${toText(await content(id))}`);
  return texts.join('\n');
}

/** The log on the disk is what a prefix of the history says; the history is cut there. */
async function expectPrefix(disk: SimDisk, history: History): Promise<void> {
  const log = await openLog(disk, options);
  const found = await textOf((id) => contentOf(log, id));
  const expected = (count: number): Promise<string> => {
    const naive = replayed(history, count);
    return textOf((id) => naive.recovered(id));
  };
  let count = history.operations.length;
  while (count > history.acknowledged && found !== (await expected(count))) count--;
  expect(found).toBe(await expected(count));
  const naive = replayed(history, count);
  history.operations.length = count;
  for (const id of shards) {
    history.operations.push({ type: 'commit', shard: id, hardState: naive.recovered(id).hardState });
  }
  history.acknowledged = history.operations.length;
  await log.close();
}

async function ignoringCrash(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
    return true;
  }
}

describe.each<{ keep: CrashKeeps; seed: number }>([
  { keep: 'random', seed: 1 },
  { keep: 'random', seed: 2 },
  { keep: 'none', seed: 4 },
  { keep: 'all', seed: 5 },
])('keeping $keep, seed $seed', ({ keep, seed }) => {
  test('nothing that was acknowledged is lost, wherever it crashes', async () => {
    let crashed = true;
    for (let n = 1; crashed; n++) {
      const random = new Prng(seed);
      const disk = newDisk(seed * 1000 + n);
      const history: History = { operations: [], acknowledged: 0 };
      disk.crashAtOperation = n;
      crashed = await ignoringCrash(work(disk, history, random, 24));
      await settle();
      disk.crash({ keep });
      // Recovery is interrupted too, and goes on with what it left behind.
      disk.crashAtOperation = disk.operationCount + random.int(1, 30);
      await ignoringCrash(openLog(disk, options).then((log) => log.close()));
      disk.crash({ keep: 'random' });
      await expectPrefix(disk, history);
      // What was seen after the first crash counts as durable, even if only the process had died.
      await ignoringCrash(work(disk, history, random, 5));
      disk.crash({ keep: 'random' });
      await expectPrefix(disk, history);
      expect(n).toBeLessThan(1000);
    }
  });
});
