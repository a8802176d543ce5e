/**
 * Fetches the data of one Raft snapshot, file by file, chunk by chunk, each asked for when the one before is written: so the
 * sender sends no faster than this disk takes, and a broken connection costs no more than the chunk that was on its way.
 */
import { QuorateError } from '../../base/errors.js';
import { maskedCrc32 } from '../../base/checksum.js';
import { DecodeError } from '../../base/coding.js';
import { CorruptionError } from '../../base/errors.js';
import type { ShardId } from '../../base/ids.js';
import type { Clock } from '../../env/clock.js';
import { makeDurableDirectory, type Disk, type DiskFile } from '../../env/disk.js';
import { pause } from '../../env/pause.js';
import { TreeInspection } from '../../lsm/tree-inspection.js';
import { descriptorKey, maxVersionKey } from '../../mvcc/keyspace.js';
import { type Configuration, equalConfigurations } from '../../raft/config.js';
import type { RaftSnapshot } from '../../raft/types.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import { decodeGroupDescriptor } from '../../shard/group-descriptor.js';
import { decodeManifest, manifestName, type SnapshotManifest } from './manifest.js';

export interface DownloadOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly shard: ShardId;
  readonly snapshot: RaftSnapshot;
  readonly checkpoint: number;
  readonly manifestBytes: number;
  /** Where it goes; what is there is removed. */
  readonly folder: string;
  readonly chunkBytesMax: number;
  /** To the node that offered it, on the connection for bulk. */
  readonly request: (body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  readonly signal: AbortSignal;
  readonly progress: DownloadProgress;
}

/** Sums; for operators and tests. */
export interface DownloadProgress {
  /** Of files, written here. */
  bytes: number;
  /** Reads that were not answered or with damaged bytes, and were asked for again. */
  readsAgain: number;
}

/** A chunk is waited for so long: at a slow rate, behind those of others. */
const readMsMax = 10_000;
/** Between two attempts. */
const retryMs = 200;
/** A transfer that does not get ahead for so long is given up: the leader begins another. */
const stallMsMax = 30_000;

/**
 * Resolves when all of it is in the folder, durable and checked: every byte of every table, and that it is the state which
 * the snapshot names, with its configuration. Rejects with the signal's reason; with a QuorateError when the sender does not have it any more or
 * cannot be reached; with a CorruptionError where what came is damaged; with a DiskError.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { disk, folder, signal } = options;
  await disk.removeTree(folder);
  await makeDurableDirectory(disk, folder);
  const manifest = await fetchManifest(options);
  for (const { name, bytes } of manifest.files) {
    const file = await disk.open(`${folder}/${name}`, 'create');
    try {
      await fetchFile(options, file, name, bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }
  await disk.syncDirectory(folder);
  signal.throwIfAborted();
  await check(options);
}

async function fetchManifest(options: DownloadOptions): Promise<SnapshotManifest> {
  const { disk, folder, shard, snapshot, manifestBytes } = options;
  const path = `${folder}/${manifestName}`;
  const file = await disk.open(path, 'create');
  try {
    const bytes = await fetchFile(options, file, manifestName, manifestBytes, new Uint8Array(manifestBytes));
    await file.sync();
    const manifest = decodeManifest(bytes);
    const { index, term } = manifest;
    if (manifest.shard === shard && index === snapshot.index && term === snapshot.term) return manifest;
    throw new CorruptionError(path, 0, `it is of entry ${index} of term ${term} of shard ${manifest.shard}`);
  } finally {
    await file.close();
  }
}

/** @param whole gets a copy of all bytes */
async function fetchFile(
  options: DownloadOptions,
  file: DiskFile,
  name: string,
  size: number,
  whole = new Uint8Array(0),
): Promise<Uint8Array> {
  for (let offset = 0; offset < size;) {
    const bytes = await fetchChunk(options, name, offset, Math.min(options.chunkBytesMax, size - offset));
    await file.write(bytes, offset);
    if (whole.length > 0) whole.set(bytes, offset);
    offset += bytes.length;
    options.progress.bytes += bytes.length;
  }
  return whole;
}

/** At least one byte. Asks until there is an answer, for as long as {@link stallMsMax}. */
async function fetchChunk(
  { shard, checkpoint, clock, request, signal, progress }: DownloadOptions,
  file: string,
  offset: number,
  bytesMax: number,
): Promise<Uint8Array> {
  const untilMs = clock.monotonicMs() + stallMsMax;
  const body = { type: 'readSnapshot', shard, checkpoint, file, offset, bytesMax } as const;
  for (;;) {
    signal.throwIfAborted();
    const result = await request(body, readMsMax).then(chunkOf, (error: unknown) => QuorateError.from(error));
    signal.throwIfAborted();
    if (result instanceof Uint8Array) {
      if (result.length > 0 && result.length <= bytesMax) return result;
      throw new CorruptionError(file, offset, `${result.length} bytes came for ${bytesMax}`);
    }
    if (!result.retryable || clock.monotonicMs() >= untilMs) throw result;
    progress.readsAgain++;
    await pause(clock, retryMs, signal);
  }
}

/** Why there are no sound bytes in the response, otherwise. */
function chunkOf(response: PeerResponse): Uint8Array | QuorateError {
  if (response.type === 'failed') return response.error;
  if (response.type !== 'snapshotChunk') return new QuorateError('INTERNAL', `an answer of type ${response.type}`);
  if (maskedCrc32(response.bytes) === response.checksum) return response.bytes;
  return new QuorateError('UNAVAILABLE', 'a chunk of a Raft snapshot came damaged');
}

async function check({ disk, folder, shard, snapshot }: DownloadOptions): Promise<void> {
  await using tree = await TreeInspection.open(disk, folder);
  for (const damage of await tree.verify()) throw damage;
  if (tree.appliedIndex !== snapshot.index) {
    throw new CorruptionError(folder, 0, `it has applied entry ${tree.appliedIndex}, not ${snapshot.index}`);
  }
  // Its members vote as the tree says after a restart, and as the snapshot says until then.
  const fault = groupFault(await storedDescriptor(disk, folder), shard, snapshot.configuration);
  if (fault !== undefined) throw new CorruptionError(folder, 0, fault);
}

/** The newest, of a tree that is sound. */
async function storedDescriptor(disk: Disk, folder: string): Promise<Uint8Array | undefined> {
  await using tree = await TreeInspection.open(disk, folder);
  const onDamage = (error: CorruptionError): void => {
    throw error;
  };
  for await (const entry of tree.entries({ lower: descriptorKey, upper: maxVersionKey }, onDamage)) return entry.value;
  return undefined;
}

function groupFault(stored: Uint8Array | undefined, shard: ShardId, configuration: Configuration): string | undefined {
  if (stored === undefined) return 'it holds no shard';
  try {
    const descriptor = decodeGroupDescriptor(stored);
    if (descriptor.shard !== shard) return `it holds shard ${descriptor.shard}, not ${shard}`;
    return equalConfigurations(descriptor.configuration, configuration)
      ? undefined
      : 'other members vote than the Raft snapshot says';
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}
