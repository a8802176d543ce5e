/** Power loss, and failing disks, at every disk operation of putting a damaged directory aside. */
import { expect, it } from 'vitest';
import { defined } from '../../../src/base/assert.js';
import { fromUtf8, utf8 } from '../../../src/base/bytes.js';
import { NodeId } from '../../../src/base/ids.js';
import { Prng } from '../../../src/base/prng.js';
import { DiskError, replaceFile } from '../../../src/env/disk.js';
import { damageNoteName } from '../../../src/node/directory/damage-note.js';
import { openIdentity, readIdentity, type Identity } from '../../../src/node/directory/identity.js';
import { findAside, finishPuttingAside, putAside } from '../../../src/node/directory/put-aside.js';
import type { CrashKeeps, SimDisk } from '../../../src/sim/disk.js';
import { newDisk, processIsDead } from '../../lsm/harness.js';

const directory = '/data';
const expected = { clusterId: 'orders-0123abcd', nodeId: NodeId(3) };
const newStore = 'b'.repeat(32);
const suffix = '.damaged-20260101T000000Z';
const held = ['log/0000000001.log', 'shards/0/CURRENT', 'shards/7/000002.sst', damageNoteName] as const;

async function prepare(disk: SimDisk): Promise<Identity> {
  const identity = await openIdentity(disk, directory, { ...expected, random: new Prng(7) });
  for (const path of held) {
    const folders = path.split('/').slice(0, -1);
    const folder = [directory, ...folders].join('/');
    await disk.makeDirectory(folder);
    await replaceFile(disk, folder, path.split('/').pop() ?? '', utf8(path));
  }
  for (const folder of [directory, `${directory}/shards`]) await disk.syncDirectory(folder);
  return identity;
}

function asideOf(path: string): string {
  const [first, ...rest] = path.split('/');
  return [`${directory}/${first}${suffix}`, ...rest].join('/');
}

/** What a start finds; all of the old directory is there either way, and none of it is the new one's. */
async function recover(disk: SimDisk, old: Identity): Promise<'old' | 'new'> {
  await finishPuttingAside(disk, directory, expected);
  const identity = await openIdentity(disk, directory, { ...expected, random: new Prng(8) });
  const state = identity.storeId === old.storeId ? 'old' : 'new';
  for (const path of held) {
    const places = { old: `${directory}/${path}`, new: asideOf(path) };
    expect(fromUtf8(disk.content(places[state]))).toBe(path);
    expect(await disk.exists(places[state === 'old' ? 'new' : 'old'])).toBe(false);
  }
  if (state === 'old') {
    expect(identity).toEqual(old);
  } else {
    expect(identity).toMatchObject({ ...expected, storeId: newStore, replaces: old.storeId });
    expect(await findAside(disk, directory)).toContain(suffix);
    expect(fromUtf8(disk.content(asideOf('IDENTITY')))).toContain(`"storeId":"${old.storeId}"`);
    for (const name of ['log', 'shards']) expect(await disk.exists(`${directory}/${name}`)).toBe(false);
  }
  expect(defined(await readIdentity(disk, directory), 'identity').aside).toBeUndefined();
  return state;
}

async function unlessFailed(work: Promise<unknown>, code: DiskError['code']): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!(error instanceof DiskError && error.code === code)) throw error;
    return false;
  }
}

const how = { storeId: newStore, wallMicros: 1_767_225_600_000_000 };

it.each(['random', 'none', 'all'] as const satisfies CrashKeeps[])(
  'a damaged directory that is put aside under power loss is the old one whole, or the new one empty with the old beside; keeps %s',
  async (keep) => {
    const seen = new Set<string>();
    for (let operation = 1; ; operation++) {
      const disk = newDisk(operation);
      const identity = await prepare(disk);
      const first = disk.operationCount;
      disk.crashAtOperation = first + operation;
      const isOver = await unlessFailed(putAside(disk, directory, { identity, ...how }), 'crashed');
      await processIsDead();
      disk.crash({ keep });
      // A start that loses power, too, leaves the rest to the next.
      disk.crashAtOperation = disk.operationCount + (operation % 17) + 1;
      await unlessFailed(recover(disk, identity), 'crashed');
      await processIsDead();
      disk.crash({ keep });
      const found = await recover(disk, identity);
      disk.crash({ keep: 'none' });
      expect(await recover(disk, identity)).toBe(found);
      seen.add(found);
      if (isOver) break;
    }
    expect([...seen].sort()).toEqual(['new', 'old']);
  },
);

it('a directory whose disk fails while it is put aside is one or the other at every later start, wherever that loses power', async () => {
  const seen = new Set<string>();
  for (let operation = 1; ; operation++) {
    const disk = newDisk(operation);
    const identity = await prepare(disk);
    let left = operation;
    disk.fault = () => (--left === 0 ? 'io' : undefined);
    const isOver = await unlessFailed(putAside(disk, directory, { identity, ...how }), 'io');
    disk.fault = undefined;
    for (let crashAt = 1, isWhole = false; !isWhole; crashAt++) {
      const next = disk.clone(new Prng(crashAt));
      next.crashAtOperation = next.operationCount + crashAt;
      isWhole = await unlessFailed(recover(next, identity), 'crashed');
      await processIsDead();
      next.crash({ keep: 'none' });
      seen.add(await recover(next, identity));
    }
    if (isOver) break;
  }
  expect([...seen].sort()).toEqual(['new', 'old']);
});

it("what was put aside is nobody's identity again, where a disk writes it in the wrong place", async () => {
  const disk = newDisk(1);
  const identity = await prepare(disk);
  await putAside(disk, directory, { identity, ...how });
  disk.overwrite(`${directory}/IDENTITY`, 0, disk.content(asideOf('IDENTITY')));
  await expect(recover(disk, identity)).rejects.toThrow(
    `${directory}/IDENTITY is damaged at offset 0: it is of what was put aside`,
  );
});
