/** The simulated disk against a twin that keeps every version of everything, under random operations and crashes. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.js';
import { SimDisk } from '../../src/sim/disk.js';
import { sectorBytes } from '../../src/sim/file-state.js';

/** All contents since the last sync, the durable one first, the current one last. */
interface TwinFile {
  versions: Uint8Array[];
}

/** All sets of names since the last sync of the folder, the durable one first, the current one last. */
interface TwinFolder {
  versions: ReadonlyMap<string, TwinFile>[];
}

const last = <T>(items: readonly T[]): T => items[items.length - 1];
const names = ['a', 'b', 'c'];

function changed(content: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.max(content.length, offset + bytes.length));
  result.set(content);
  result.set(bytes, offset);
  return result;
}

function truncated(content: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(content.subarray(0, length));
  return result;
}

/** One random operation, done on both. */
async function mutate(disk: SimDisk, folder: TwinFolder, random: Prng): Promise<void> {
  const current = last(folder.versions);
  const name = random.pick(names);
  const other = random.pick(names);
  const file = current.get(name);
  const rename = (change: (next: Map<string, TwinFile>) => void): void => {
    const next = new Map(current);
    change(next);
    folder.versions.push(next);
  };
  if (file === undefined) {
    await (await disk.open(`/${name}`, 'create')).close();
    rename((next) => next.set(name, { versions: [new Uint8Array(0)] }));
    return;
  }
  switch (random.int(0, 9)) {
    case 0:
      await disk.remove(`/${name}`);
      rename((next) => next.delete(name));
      return;
    case 1:
      if (name === other) return;
      await disk.rename(`/${name}`, `/${other}`);
      if (current.get(other) === file) return;
      rename((next) => {
        next.delete(name);
        next.set(other, file);
      });
      return;
    case 2:
      if (current.has(other)) return;
      await disk.link(`/${name}`, `/${other}`);
      rename((next) => next.set(other, file));
      return;
    case 3:
      await disk.syncDirectory('/');
      folder.versions = [current];
      return;
  }
  const handle = await disk.open(`/${name}`, 'readWrite');
  const content = last(file.versions);
  switch (random.int(0, 5)) {
    case 0:
      await handle.sync();
      file.versions = [content];
      break;
    case 1: {
      const length = random.int(0, content.length + 300);
      await handle.truncate(length);
      file.versions.push(truncated(content, length));
      break;
    }
    default: {
      const bytes = random.bytes(random.int(1, 1500));
      const offset = random.int(0, content.length + 200);
      await handle.write(bytes, offset);
      file.versions.push(changed(content, offset, bytes));
    }
  }
  await handle.close();
}

function sectors(content: Uint8Array): Uint8Array[] {
  const result: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += sectorBytes) result.push(content.subarray(at, at + sectorBytes));
  return result;
}

/** Whether `a` and `b` agree where both have bytes, and the longer one has only zeros beyond. */
function agree(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < Math.max(a.length, b.length); i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return false;
  return true;
}

async function readAll(disk: SimDisk): Promise<Map<string, Uint8Array>> {
  return new Map((await disk.list('/')).map((name) => [name, disk.content(`/${name}`)]));
}

describe('SimDisk agrees with its twin', () => {
  test.each(Array.from({ length: 30 }, (_, seed) => seed))('seed %i', async (seed) => {
    const random = new Prng(seed);
    const disk = new SimDisk({ random: random.split('disk') });
    let folder: TwinFolder = { versions: [new Map()] };
    for (let round = 0; round < 6; round++) {
      for (let i = random.int(1, 60); i > 0; i--) await mutate(disk, folder, random);
      const current = last(folder.versions);
      const shown = await readAll(disk);
      expect([...shown.keys()]).toEqual([...current.keys()].sort());
      for (const [name, { versions }] of current) {
        expect(Buffer.compare(shown.get(name) ?? new Uint8Array(0), last(versions)), name).toBe(0);
      }

      const keep = random.pick(['all', 'none', 'random'] as const);
      disk.crash({ keep });
      const found = await readAll(disk);
      if (keep === 'all') continue;
      const candidates = keep === 'none' ? folder.versions.slice(0, 1) : folder.versions;
      const survivor = candidates.find((version) => survives(version, found, keep));
      expect(survivor, `the names are of no version: ${[...found.keys()].join()}`).toBeDefined();
      // What survived is durable: the twin goes on from it.
      const files = new Map<TwinFile, TwinFile>();
      const durable = new Map<string, TwinFile>();
      for (const [name, file] of survivor ?? []) {
        const content = found.get(name) ?? new Uint8Array(0);
        const next = files.get(file) ?? { versions: [content] };
        files.set(file, next);
        durable.set(name, next);
      }
      folder = { versions: [durable] };
    }
  });

  function survives(
    version: ReadonlyMap<string, TwinFile>,
    found: ReadonlyMap<string, Uint8Array>,
    keep: 'none' | 'random',
  ): boolean {
    if (version.size !== found.size) return false;
    return [...version].every(([name, { versions }]) => {
      const content = found.get(name);
      if (content === undefined) return false;
      if (keep === 'none') return Buffer.compare(content, versions[0]) === 0;
      return (
        versions.some((each) => each.length === content.length) &&
        sectors(content).every((sector, i) =>
          versions.some((each) => agree(sector, each.subarray(i * sectorBytes, i * sectorBytes + sector.length))),
        )
      );
    });
  }
});
