/** Callbacks that throw are their owner's mistake: the process learns of it, and the tree goes on. */
import { expect, it, onTestFinished } from 'vitest';
import type { DiskError } from '../../src/env/disk.js';
import { MemtableBudget } from '../../src/lsm/memtable/memtable-budget.js';
import { guardedLogger } from '../../src/lsm/callbacks.js';
import { Tree } from '../../src/lsm/tree.js';
import type { Logger } from '../../src/env/logger.js';
import { newDisk, put, scan, treeDirectory, treeResources } from './harness.js';

/** What the process learns of until the test ends, in place of those that listen now. */
function uncaughtErrors(): string[] {
  const messages: string[] = [];
  const note = (error: Error): void => void messages.push(error.message);
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', note);
  onTestFinished(() => {
    process.off('uncaughtException', note);
    for (const listener of before) process.on('uncaughtException', listener);
  });
  return messages;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

it('a tree goes on when a callback of onDurable throws, and the others are called', async () => {
  const uncaught = uncaughtErrors();
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  const durable: number[] = [];
  tree.onDurable(() => {
    throw new Error('of a user');
  });
  tree.onDurable((index) => durable.push(index));
  for (const version of [1, 2]) {
    put(tree, `key-${version}`, version, 'value');
    await tree.flush();
    await turn();
  }
  expect(tree.failure).toBeUndefined();
  expect(durable).toEqual([1, 2]);
  expect(uncaught).toEqual(['of a user', 'of a user']);
  expect(await scan(tree)).toHaveLength(2);
});

it('a tree that has failed gives everything back when a callback of onFailure throws', async () => {
  const uncaught = uncaughtErrors();
  const disk = newDisk();
  const memtableBudget = new MemtableBudget({ bytesMax: 64 << 20, writeBytesMax: 4 << 20 });
  const tree = await Tree.create(treeDirectory, treeResources(disk, { memtableBudget }));
  const failures: Error[] = [];
  const complain = (error: Error): void => {
    failures.push(error);
    throw new Error(`complaint ${failures.length}`);
  };
  tree.onFailure(complain);
  put(tree, 'key', 1, 'value');
  disk.fault = (operation) => (operation === 'sync' ? 'io' : undefined);
  await expect(tree.flush()).rejects.toMatchObject({ code: 'io' } satisfies Partial<DiskError>);
  disk.fault = undefined;
  tree.onFailure(complain);
  await tree.close();
  await turn();
  expect(failures).toEqual([tree.failure, tree.failure]);
  expect(uncaught).toEqual(['complaint 1', 'complaint 2']);
  expect(memtableBudget.bytes).toBe(0);
});

it('takes functions alone', async () => {
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk()));
  for (const wrong of [5, undefined, { call: () => undefined }]) {
    expect(() => tree.onDurable(wrong as never)).toThrow('the callback must be a function');
    expect(() => tree.onFailure(wrong as never)).toThrow('the callback must be a function');
  }
  put(tree, 'key', 1, 'value');
  await tree.flush();
  expect(tree.failure).toBeUndefined();
});

it('a tree goes on when its logger throws', async () => {
  const uncaught = uncaughtErrors();
  const said: string[] = [];
  const complain = (message: string): void => {
    said.push(message);
    throw new Error(`about ${message}`);
  };
  const logger: Logger = { debug: complain, info: complain, warn: complain, error: complain, child: () => logger };
  await using tree = await Tree.create(treeDirectory, treeResources(newDisk(), { logger: guardedLogger(logger) }));
  put(tree, 'key', 1, 'value');
  await tree.flush();
  await turn();
  expect(tree.failure).toBeUndefined();
  expect(tree.durableAppliedIndex).toBe(1);
  expect(said).toEqual(['memtable flushed']);
  expect(uncaught).toEqual(['about memtable flushed']);
  guardedLogger(logger).child({ of: 'a tree' }).info('more');
  await turn();
  expect(uncaught).toEqual(['about memtable flushed', 'about more']);
});

it('takes loggers alone', () => {
  for (const wrong of [7, null, undefined, () => undefined]) {
    expect(() => guardedLogger(wrong as never)).toThrow('the logger must be an object');
  }
  expect(() => guardedLogger({ warn: () => undefined } as never)).toThrow('logger.debug must be a function');
});
