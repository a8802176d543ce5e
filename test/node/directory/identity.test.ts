import { describe, expect, test } from 'vitest';
import { fromUtf8, utf8 } from '../../../src/base/bytes.js';
import { NodeId } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { clusterIdOf, openIdentity } from '../../../src/node/directory/identity.js';
import type { ClusterOptions } from '../../../src/node/options.js';
import { SimDisk } from '../../../src/sim/disk.js';

const path = '/data/IDENTITY';
const expected = { clusterId: 'orders-0123abcd', nodeId: NodeId(3) };

async function made(): Promise<SimDisk> {
  const disk = new SimDisk({ random: new Prng(1) });
  await openIdentity(disk, '/data', { ...expected, random: new Prng(7) });
  return disk;
}

const reopen = (disk: SimDisk, other: Partial<typeof expected> = {}): ReturnType<typeof openIdentity> =>
  openIdentity(disk, '/data', { ...expected, ...other, random: new Prng(8) });

describe('the identity file', () => {
  test('has the bytes of docs/formats/identity.md', async () => {
    const text = fromUtf8((await made()).content(path));
    expect(text).toBe(
      '{"format":2,"clusterId":"orders-0123abcd","nodeId":3,"storeId":"716bcc361fd9c2d3d37c46cbed05d373"}\n2ea56a49\n',
    );
  });

  test('is made once', async () => {
    const disk = await made();
    const before = disk.content(path);
    await reopen(disk);
    expect(disk.content(path)).toEqual(before);
    expect(disk.paths()).toEqual([path]);
  });

  test('is found on a full disk, and outlives the power there', async () => {
    const disk = await made();
    const before = disk.content(path);
    disk.quotaBytes = before.length;
    expect(await reopen(disk)).toMatchObject(expected);
    disk.crash({ keep: 'none' });
    expect(await reopen(disk)).toMatchObject(expected);
    expect(disk.content(path)).toEqual(before);
  });

  test('is refused with any byte changed but the last line feed', async () => {
    const disk = await made();
    const { length } = disk.content(path);
    for (let offset = 0; offset < length - 1; offset++) {
      const copy = disk.clone(new Prng(1));
      copy.corrupt(path, offset);
      await expect(reopen(copy), `byte ${offset}`).rejects.toThrow(`${path} is damaged`);
    }
  });

  test('of an earlier release is refused, and not as damaged', async () => {
    const disk = await made();
    const earlier = `{"format":1,"clusterId":"orders-0123abcd","nodeId":3,"storeId":"716bcc361fd9c2d3d37c46cbed05d373"}`;
    const file = await disk.open(path, 'readWrite');
    await file.write(utf8(`${earlier}\nd6eab262\n`), 0);
    await file.close();
    const refused = reopen(disk);
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(refused).rejects.toThrow('it says format 1, and this release has format 2');
  });

  test('is refused when cut', async () => {
    const disk = await made();
    const file = await disk.open(path, 'readWrite');
    await file.truncate(40);
    await file.close();
    await expect(reopen(disk)).rejects.toThrow(`${path} is damaged`);
  });

  test.each([
    [{ nodeId: NodeId(2) }, 'belongs to node 3 of cluster orders-0123abcd, this is node 2 of cluster orders-0123abcd'],
    [{ clusterId: 'other' }, 'belongs to node 3 of cluster orders-0123abcd, this is node 3 of cluster other'],
  ])('of somebody else is refused: %j', async (other, message) => {
    const refused = reopen(await made(), other);
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(refused).rejects.toThrow(message);
  });

  test.each(['log', 'shards'])('that is missing beside %s is not made anew', async (folder) => {
    const disk = new SimDisk({ random: new Prng(1) });
    await disk.makeDirectory(`/data/${folder}`);
    await expect(reopen(disk)).rejects.toMatchObject({
      code: 'CORRUPTION',
      message: `${path} is missing, though /data holds data (${folder}): nobody can tell whose it is`,
    });
  });
});

describe('the cluster id', () => {
  const node = (id: number, peerAddress: string): ClusterOptions['nodes'][number] => ({
    id: NodeId(id),
    clientAddress: `client-${id}:1`,
    peerAddress,
  });
  const cluster: ClusterOptions = {
    name: 'orders',
    nodes: [node(1, 'a:1'), node(2, 'b:1')],
    initialShards: 8,
    replicationFactor: 3,
  };

  test('names the cluster, and stays as it is for ever', () => {
    expect(clusterIdOf(cluster)).toBe('orders-d37672e3');
  });

  test('follows from name and ids of the first nodes alone, not from their order or addresses', () => {
    const id = clusterIdOf(cluster);
    expect(clusterIdOf({ ...cluster, nodes: [node(2, 'b:1'), node(1, 'a:1')] })).toBe(id);
    expect(clusterIdOf({ ...cluster, nodes: [node(1, '10.0.0.1:1'), node(2, 'b.example:1')] })).toBe(id);
    expect(clusterIdOf({ ...cluster, initialShards: 1, replicationFactor: 1 })).toBe(id);
    for (const other of [
      { ...cluster, name: 'order' },
      { ...cluster, nodes: [node(1, 'a:1')] },
      { ...cluster, nodes: [node(1, 'a:1'), node(3, 'b:1')] },
      { ...cluster, nodes: [node(1, 'a:1'), node(2, 'b:1'), node(12, 'c:1')] },
    ]) {
      expect(clusterIdOf(other)).not.toBe(id);
    }
  });
});
