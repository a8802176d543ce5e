/** Work on a log that is interrupted at an operation of the disk, and what must be found afterwards. */
import { expect } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import type { MaybePromise } from '../../src/base/promises.js';
import { DiskError } from '../../src/env/disk.js';
import type { SharedLogOptions, SharedLogStats } from '../../src/log/shared-log.js';
import type { CrashKeeps, SimDisk } from '../../src/sim/disk.js';
import { NaiveLog } from './naive-log.js';
import { contentOf, newDisk, openLog, perform, settle, toText, type GroupContent, type Operation } from './support.js';

export const shards = [0, 3, 9];

export interface CrashPlan {
  readonly seed: number;
  readonly keep: CrashKeeps;
  readonly options: Partial<SharedLogOptions>;
  /** What is asked of the log, one after another, until it crashes. */
  readonly steps: number;
  readonly next: (naive: NaiveLog, random: Prng, step: number) => Operation;
}

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

/** Goes on with the log on the disk until it crashes, or the steps are over. */
async function work(disk: SimDisk, history: History, random: Prng, plan: CrashPlan): Promise<SharedLogStats> {
  const naive = replayed(history, history.operations.length);
  const log = await openLog(disk, plan.options);
  const pending: Promise<void>[] = [];
  for (let step = 0; step < plan.steps && log.failed === undefined; step++) {
    const operation = plan.next(naive, random, step);
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
    for (let ticks = random.pick([0, 0, 1, 4]); ticks > 0; ticks--) log.tick();
  }
  await Promise.all(pending);
  await log.close();
  history.acknowledged = history.operations.length;
  return log.stats();
}

async function textOf(content: (id: number) => MaybePromise<GroupContent>): Promise<string> {
  const texts: string[] = [];
  for (const id of shards) texts.push(`shard ${id} ${toText(await content(id))}`);
  return texts.join('\n');
}

/** The log on the disk is what a prefix of the history says; the history is cut there. */
async function expectPrefix(disk: SimDisk, history: History, { options }: CrashPlan): Promise<void> {
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

/** Undefined when it crashed. */
async function ignoringCrash<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'crashed')) throw error;
    return undefined;
  }
}

/**
 * The same work is interrupted at every operation of the disk in turn. Afterwards the log holds what a prefix of the
 * operations says, of all groups together, that reaches at least as far as what was acknowledged. Returns what the log had done
 * when it was not interrupted.
 */
export async function expectSafeCrashes(plan: CrashPlan): Promise<SharedLogStats> {
  const { seed, keep, options } = plan;
  for (let n = 1; ; n++) {
    const random = new Prng(seed);
    const disk = newDisk(seed * 1000 + n);
    const history: History = { operations: [], acknowledged: 0 };
    disk.crashAtOperation = n;
    const stats = await ignoringCrash(work(disk, history, random, plan));
    await settle();
    disk.crash({ keep });
    // Recovery is interrupted too, and goes on with what it left behind.
    disk.crashAtOperation = disk.operationCount + random.int(1, 30);
    await ignoringCrash(openLog(disk, options).then((log) => log.close()));
    disk.crash({ keep: 'random' });
    await expectPrefix(disk, history, plan);
    // What was seen after the first crash counts as durable, even if only the process had died.
    await ignoringCrash(work(disk, history, random, { ...plan, steps: 5 }));
    disk.crash({ keep: 'random' });
    await expectPrefix(disk, history, plan);
    if (stats !== undefined) return stats;
    expect(n).toBeLessThan(1000);
  }
}
