/**
 * Fetches the data of one Raft snapshot, file by file, chunk by chunk, each asked for when the one before is written: so the
 * sender sends no faster than this disk takes, and a broken connection costs no more than the chunk that was on its way. Nor does a
 * transfer that broke, where the next one is of the same checkpoint: it goes on where that was.
 */
import { equalBytes } from '../../base/bytes.js';
import { maskedCrc32 } from '../../base/checksum.js';
import { DecodeError } from '../../base/coding.js';
import { CorruptionError, QuorateError } from '../../base/errors.js';
import type { ShardId } from '../../base/ids.js';
import type { MaybePromise } from '../../base/promises.js';
import type { Clock } from '../../env/clock.js';
import { makeDurableDirectory, type Disk } from '../../env/disk.js';
import { pause } from '../../env/pause.js';
import { TreeInspection } from '../../lsm/tree-inspection.js';
import { descriptorKey, maxVersionKey } from '../../mvcc/keyspace.js';
import { type Configuration, equalConfigurations } from '../../raft/config.js';
import type { RaftSnapshot } from '../../raft/types.js';
import type { PeerRequest, PeerResponse } from '../../rpc/peer-messages.js';
import { decodeGroupDescriptor } from '../../shard/group-descriptor.js';
import { decodeManifest, manifestName, type SnapshotFile, type SnapshotManifest } from './manifest.js';

export interface DownloadOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly shard: ShardId;
  readonly snapshot: RaftSnapshot;
  readonly checkpoint: number;
  readonly manifestBytes: number;
  /** Where it goes. What is there that is not `fetched` is removed. */
  readonly folder: string;
  /** Of the same checkpoint, by a download before this one; it grows with what comes. */
  readonly fetched: Fetched;
  readonly chunkBytesMax: number;
  /** To the node that offered it, on the connection for bulk. */
  readonly request: (body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  readonly signal: AbortSignal;
  readonly progress: DownloadProgress;
}

/** What a folder has of a checkpoint. */
export interface Fetched {
  /** As it came; undefined where there is nothing yet. */
  manifest: Uint8Array | undefined;
  /** Bytes of each file, from its beginning on, that were written. */
  readonly files: Map<string, number>;
}

/** Sums; for operators and tests. */
export interface DownloadProgress {
  /** Of files, that came. */
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
 * cannot be reached; with a CorruptionError where what came is damaged; with a DiskError. Only after the first two may another
 * download go on with `fetched`: a disk forgets what it failed to sync.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { disk, folder, signal, fetched } = options;
  const bytes = await fetchManifest(options);
  const manifest = checkedManifest(options, bytes);
  if (fetched.manifest === undefined || !equalBytes(fetched.manifest, bytes)) await beginAnew(options, bytes);
  for (const file of manifest.files) await fetchFile(options, file);
  await disk.syncDirectory(folder);
  signal.throwIfAborted();
  await check(options);
}

async function fetchManifest(options: DownloadOptions): Promise<Uint8Array> {
  const whole = new Uint8Array(options.manifestBytes);
  const all = { name: manifestName, from: 0, to: whole.length };
  await fetchBytes(options, all, (bytes, offset) => whole.set(bytes, offset));
  return whole;
}

function checkedManifest({ folder, shard, snapshot }: DownloadOptions, bytes: Uint8Array): SnapshotManifest {
  const manifest = decodeManifest(bytes);
  const { index, term } = manifest;
  if (manifest.shard === shard && index === snapshot.index && term === snapshot.term) return manifest;
  const path = `${folder}/${manifestName}`;
  throw new CorruptionError(path, 0, `it is of entry ${index} of term ${term} of shard ${manifest.shard}`);
}

/** In a folder without anything but the manifest. */
async function beginAnew({ disk, folder, fetched }: DownloadOptions, manifest: Uint8Array): Promise<void> {
  fetched.manifest = undefined;
  fetched.files.clear();
  await disk.removeTree(folder);
  await makeDurableDirectory(disk, folder);
  const file = await disk.open(`${folder}/${manifestName}`, 'create');
  try {
    await file.write(manifest, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  fetched.manifest = manifest;
}

/** The sync is of all that was written, by whichever download. */
async function fetchFile(options: DownloadOptions, { name, bytes }: SnapshotFile): Promise<void> {
  const { disk, folder, fetched } = options;
  const file = await disk.open(`${folder}/${name}`, fetched.files.has(name) ? 'readWrite' : 'create');
  try {
    const from = fetched.files.get(name) ?? 0;
    fetched.files.set(name, from);
    await fetchBytes(options, { name, from, to: bytes }, async (chunk, offset) => {
      await file.write(chunk, offset);
      fetched.files.set(name, offset + chunk.length);
    });
    await file.sync();
  } finally {
    await file.close();
  }
}

async function fetchBytes(
  options: DownloadOptions,
  { name, from, to }: { readonly name: string; readonly from: number; readonly to: number },
  take: (bytes: Uint8Array, offset: number) => MaybePromise<void>,
): Promise<void> {
  for (let offset = from; offset < to;) {
    const bytes = await fetchChunk(options, name, offset, Math.min(options.chunkBytesMax, to - offset));
    await take(bytes, offset);
    offset += bytes.length;
    options.progress.bytes += bytes.length;
  }
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
