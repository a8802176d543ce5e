/**
 * The identity was durable, but not the name of the data directory in its parent: a power loss soon after the first
 * start took all of it away, and the node came back as a stranger that had forgotten its votes. Found by seed 8 of the
 * simulator.
 */
import { expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { NodeId } from '../../src/base/ids.js';
import { openIdentity } from '../../src/node/directory/identity.js';
import { SimDisk } from '../../src/sim/disk.js';

const expected = (seed: number): Parameters<typeof openIdentity>[2] => ({
  clusterId: 'c-1',
  nodeId: NodeId(1),
  random: new Prng(seed),
});

test.each(['/data', '/var/lib/quorate/node-1'])(
  'a node keeps its identity in %s over a power loss right after',
  async (path) => {
    const disk = new SimDisk({ random: new Prng(1) });
    const { storeId } = await openIdentity(disk, path, expected(2));
    disk.crash({ keep: 'none' });
    expect((await openIdentity(disk, path, expected(3))).storeId).toBe(storeId);
  },
);

test('whatever a power loss on the way leaves, the identity is whole or a new one is made', async () => {
  for (let n = 1; ; n++) {
    const disk = new SimDisk({ random: new Prng(n) });
    disk.crashAtOperation = n;
    const first = await openIdentity(disk, '/a/b', expected(1)).catch(() => undefined);
    const isOver = disk.operationCount < n;
    disk.crash({ keep: 'random' });
    const second = await openIdentity(disk, '/a/b', expected(2));
    if (first !== undefined) expect(second).toEqual(first);
    if (isOver) break;
  }
});
