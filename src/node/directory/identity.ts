/**
 * Who a data directory belongs to: the file IDENTITY, written before anything else, checked and written anew at every start.
 * A node that finds another cluster's or node's data stops instead of mixing them.
 */
import { assert } from '../../base/assert.js';
import { crc32 } from '../../base/checksum.js';
import { fromUtf8, toHex, utf8 } from '../../base/bytes.js';
import { CorruptionError, QuorateError } from '../../base/errors.js';
import { NodeId } from '../../base/ids.js';
import type { Prng } from '../../base/prng.js';
import { DiskError, makeDurableDirectory, readWholeFile, replaceFile } from '../../env/disk.js';
import type { Disk } from '../../env/disk.js';
import type { ClusterOptions } from '../options.js';

export interface Identity {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Random, made with the directory: tells a disk that was lost and made anew from the one that joined. */
  readonly storeId: string;
  /** The damaged directory that this one came in place of (put-aside.ts), which the cluster had retired. Undefined of others. */
  readonly replaces?: string | undefined;
}

/** What the file says. */
interface StoredIdentity extends Identity {
  /** While what was in the directory is put aside: the suffix that it gets. */
  readonly aside?: string | undefined;
  /** It was put aside: where IDENTITY says so, a disk has put what it read or wrote in the wrong place. */
  readonly retired?: boolean | undefined;
}

export const identityFileName = 'IDENTITY';
/** Of the directory: what its trees and logs hold. */
const format = 2;
/** Of one with an `aside`, which a release that knows nothing of that must not take for its own. */
const asideFormat = 3;

/**
 * The same for all nodes that are configured alike: it follows from the name and from the ids of the first nodes, in
 * whatever order they are listed and whatever their addresses are.
 */
export function clusterIdOf(cluster: ClusterOptions): string {
  const members = cluster.nodes.map(({ id }) => id).sort((a, b) => a - b);
  const checksum = crc32(utf8(`${cluster.name}\n${members.join(',')}`));
  return `${cluster.name}-${checksum.toString(16).padStart(8, '0')}`;
}

/** Reads the identity of the directory, or gives it one when it is new. Throws INVALID_ARGUMENT when it is another's. */
export async function openIdentity(
  disk: Disk,
  directory: string,
  expected: { clusterId: string; nodeId: NodeId; random: Prng },
): Promise<Identity> {
  const path = `${directory}/${identityFileName}`;
  if (!(await disk.exists(path))) {
    await makeDurableDirectory(disk, directory);
    const others = (await disk.list(directory)).filter((name) => name === 'log' || name === 'shards');
    if (others.length > 0) {
      throw new QuorateError(
        'CORRUPTION',
        `${path} is missing, though ${directory} holds data (${others.join(', ')}): nobody can tell whose it is`,
      );
    }
    const { clusterId, nodeId } = expected;
    const identity: Identity = { clusterId, nodeId, storeId: toHex(expected.random.bytes(16)) };
    await replaceFile(disk, directory, identityFileName, encodeIdentity(identity));
    return identity;
  }
  const identity = decode(path, await readWholeFile(disk, path));
  if (identity.clusterId !== expected.clusterId || identity.nodeId !== expected.nodeId) {
    throw new QuorateError(
      'INVALID_ARGUMENT',
      `${directory} belongs to node ${identity.nodeId} of cluster ${identity.clusterId}, ` +
        `this is node ${expected.nodeId} of cluster ${expected.clusterId}`,
    );
  }
  assert(identity.aside === undefined, 'what is put aside is so before anybody opens the directory');
  await writeAnew(disk, directory, encodeIdentity(identity));
  return identity;
}

/** Undefined where there is none. */
export async function readIdentity(disk: Disk, directory: string): Promise<StoredIdentity | undefined> {
  const path = `${directory}/${identityFileName}`;
  return (await disk.exists(path)) ? decode(path, await readWholeFile(disk, path)) : undefined;
}

/**
 * What was read may be what a start left whose sync failed, and the power can still take it away: it is written anew
 * before anybody relies on it. On a full disk in its place, which takes no room, and changes nothing wherever it ends.
 */
async function writeAnew(disk: Disk, directory: string, content: Uint8Array): Promise<void> {
  try {
    await replaceFile(disk, directory, identityFileName, content);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'noSpace') throw error;
    const file = await disk.open(`${directory}/${identityFileName}`, 'readWrite');
    try {
      await file.write(content, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.syncDirectory(directory);
  }
}

export function encodeIdentity(identity: StoredIdentity): Uint8Array {
  const { clusterId, nodeId, storeId, replaces, aside, retired } = identity;
  const version = aside === undefined ? format : asideFormat;
  const content = JSON.stringify({ format: version, clusterId, nodeId, storeId, replaces, aside, retired });
  return utf8(`${content}\n${crc32(utf8(content)).toString(16).padStart(8, '0')}\n`);
}

function decode(path: string, bytes: Uint8Array): StoredIdentity {
  const [content, checksum] = fromUtf8(bytes).split('\n');
  if (checksum !== crc32(utf8(content)).toString(16).padStart(8, '0')) {
    throw new CorruptionError(path, 0, 'its checksum does not match');
  }
  const parsed = JSON.parse(content) as { format: number } & StoredIdentity;
  if (parsed.format !== (parsed.aside === undefined ? format : asideFormat)) {
    const message = `${path} is of another release: it says format ${parsed.format}, and this release has format ${format}`;
    throw new QuorateError('INVALID_ARGUMENT', message);
  }
  if (parsed.retired === true) throw new CorruptionError(path, 0, 'it is of what was put aside');
  const { clusterId, nodeId, storeId, replaces, aside } = parsed;
  return { clusterId, nodeId: NodeId(nodeId), storeId, replaces, aside };
}
