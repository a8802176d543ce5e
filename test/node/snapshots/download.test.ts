/** What a follower makes of answers that are late, damaged, missing or wrong. */
import { beforeEach, describe, expect, it } from 'vitest';
import { maskedCrc32 } from '../../../src/base/checksum.js';
import { CorruptionError, QuorateError } from '../../../src/base/errors.js';
import { ReplicaId } from '../../../src/base/ids.js';
import { createConfiguration } from '../../../src/raft/config.js';
import { Tree } from '../../../src/lsm/tree.js';
import { download, type DownloadProgress, type Fetched } from '../../../src/node/snapshots/download.js';
import { manifestName } from '../../../src/node/snapshots/manifest.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { ManualClock, newDisk } from '../../lsm/harness.js';
import { newIndex, newTerm, prepare, shard } from './support.js';

type Read = Extract<PeerRequest, { readonly type: 'readSnapshot' }>;
type Answer = (read: Read, count: number) => PeerResponse | Error | undefined;

const source = 'checkpoint';
const folder = 'node/shards/1.incoming';
const chunkBytesMax = 64;

/** Time goes on by itself. */
class HastyClock extends ManualClock {
  override after(delayMs: number, callback: () => void): { cancel: () => void } {
    const timer = super.after(delayMs, callback);
    queueMicrotask(() => this.advance(delayMs));
    return timer;
  }
}

let disk: SimDisk;
let progress: DownloadProgress;
let reads: Read[];
let fetched: Fetched;
const giveUp = new AbortController();

beforeEach(async () => {
  disk = newDisk();
  await prepare(disk, source);
  progress = { bytes: 0, readsAgain: 0 };
  reads = [];
  fetched = { manifest: undefined, files: new Map() };
});

function sizeOf(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + disk.content(`${source}/${name}`).length, 0);
}

function chunk({ file, offset, bytesMax }: Read): PeerResponse {
  const bytes = disk.content(`${source}/${file}`).slice(offset, offset + bytesMax);
  return { type: 'snapshotChunk', bytes, checksum: maskedCrc32(bytes) };
}

/** @param answer instead of what is right, where it gives something */
function fetch(
  answer: Answer,
  signal: AbortSignal = giveUp.signal,
  voters = [1, 2, 3].map((id) => ReplicaId(id)),
): Promise<void> {
  return download({
    disk,
    clock: new HastyClock(),
    shard,
    snapshot: { index: newIndex, term: newTerm, configuration: createConfiguration({ voters }) },
    checkpoint: 7,
    manifestBytes: sizeOf([manifestName]),
    folder,
    fetched,
    chunkBytesMax,
    request: (body) => {
      if (body.type !== 'readSnapshot') return Promise.reject(new Error(body.type));
      reads.push(body);
      const given = answer(body, reads.length) ?? chunk(body);
      return given instanceof Error ? Promise.reject(given) : Promise.resolve(given);
    },
    signal,
    progress,
  });
}

describe('a follower that fetches a Raft snapshot', () => {
  it('gets every file, each byte once, in chunks of the size that it asks for', async () => {
    await fetch(() => undefined);
    const names = await disk.list(source);
    expect(await disk.list(folder)).toEqual(names);
    for (const name of names) expect(disk.content(`${folder}/${name}`)).toEqual(disk.content(`${source}/${name}`));
    expect(progress).toEqual({ bytes: sizeOf(names), readsAgain: 0 });
    expect(reads.every(({ bytesMax }) => bytesMax <= chunkBytesMax)).toBe(true);
    expect(await Tree.exists(folder, disk)).toBe(true);
  });

  it('goes on with the chunk that it lacks when a connection broke, and asks for no other again', async () => {
    const broken = new QuorateError('UNAVAILABLE', 'the connection broke', { outcome: 'unknown' });
    await fetch((_read, count) => (count % 5 === 0 ? broken : undefined));
    expect(progress.bytes).toBe(sizeOf(await disk.list(source)));
    expect(progress.readsAgain).toBe(Math.floor(reads.length / 5));
    const places = reads.map(({ file, offset }) => `${file} ${offset}`);
    expect(places.length - new Set(places).size).toBe(progress.readsAgain);
  });

  it('asks again for a chunk that came damaged', async () => {
    await fetch((read, count) => {
      const right = chunk(read);
      if (count !== 3 || right.type !== 'snapshotChunk') return undefined;
      right.bytes[0] ^= 1;
      return right;
    });
    expect(progress.readsAgain).toBe(1);
    expect(progress.bytes).toBe(sizeOf(await disk.list(source)));
  });

  it('finds damage that was there before it was sent', async () => {
    const damaged = fetch((read) => {
      if (!read.file.endsWith('.sst') || read.offset !== 0) return undefined;
      const bytes = disk.content(`${source}/${read.file}`).slice(0, read.bytesMax);
      bytes[10] ^= 1;
      return { type: 'snapshotChunk', bytes, checksum: maskedCrc32(bytes) };
    });
    await expect(damaged).rejects.toThrow(CorruptionError);
  });

  it('gives up at once when the sender does not have a file any more', async () => {
    const gone = new QuorateError('INVALID_ARGUMENT', 'there is no such checkpoint (any more)');
    const done = fetch(({ file }) =>
      file.endsWith('.sst') ? { type: 'failed', error: gone, leader: undefined } : undefined,
    );
    await expect(done).rejects.toBe(gone);
    expect(progress.readsAgain).toBe(0);
  });

  it('gives up when it does not get ahead for half a minute', async () => {
    const away = new QuorateError('UNAVAILABLE', 'the node cannot be reached');
    await expect(fetch(() => away)).rejects.toBe(away);
    expect(progress.readsAgain).toBe(150);
  });

  it('refuses a file that ends too early, and more bytes than it asked for', async () => {
    const empty = {
      type: 'snapshotChunk',
      bytes: new Uint8Array(0),
      checksum: maskedCrc32(new Uint8Array(0)),
    } as const;
    await expect(fetch((_read, count) => (count === 2 ? empty : undefined))).rejects.toThrow(CorruptionError);
    const more = new Uint8Array(chunkBytesMax + 1);
    const tooMuch = { type: 'snapshotChunk', bytes: more, checksum: maskedCrc32(more) } as const;
    await expect(fetch(() => tooMuch)).rejects.toThrow(CorruptionError);
  });

  it('refuses a tree in which others vote than the Raft snapshot says', async () => {
    const done = fetch(() => undefined, giveUp.signal, [ReplicaId(2)]);
    await expect(done).rejects.toThrow('other members vote than the Raft snapshot says');
  });

  it('stops when it is given up', async () => {
    const abort = new AbortController();
    const reason = new Error('given up');
    const done = fetch((_read, count) => {
      if (count === 4) abort.abort(reason);
      return undefined;
    }, abort.signal);
    await expect(done).rejects.toBe(reason);
    expect(reads.length).toBe(4);
  });
});
