/**
 * The manifest of a Raft snapshot: whose it is, and which files its data has. It is the first file that is fetched, and in a
 * shard's folder tells a start that the log is to begin after it (install.ts). Byte-exact form: docs/formats/raft-snapshot.md.
 */
import { maskedCrc32 } from '../../base/checksum.js';
import { ByteReader, ByteWriter, DecodeError } from '../../base/coding.js';
import { LogIndex, ShardId, Term } from '../../base/ids.js';
import { parseFileName } from '../../lsm/version/file-names.js';

export interface SnapshotFile {
  readonly name: string;
  readonly bytes: number;
}

export interface SnapshotManifest {
  readonly shard: ShardId;
  /** Of the last entry in it. */
  readonly index: LogIndex;
  readonly term: Term;
  /** All of a tree. */
  readonly files: readonly SnapshotFile[];
}

export const manifestName = 'SNAPSHOT';
const formatVersion = 1;

export function encodeManifest({ shard, index, term, files }: SnapshotManifest): Uint8Array {
  const writer = new ByteWriter().u8(formatVersion).varint(shard).varint(index).varint(term).varint(files.length);
  for (const { name, bytes } of files) writer.text(name).varint(bytes);
  writer.u32(maskedCrc32(writer.view()));
  return writer.finish();
}

/** Throws DecodeError. */
export function decodeManifest(bytes: Uint8Array): SnapshotManifest {
  if (bytes.length < 4) throw new DecodeError('a manifest without a checksum');
  const body = bytes.subarray(0, -4);
  if (new ByteReader(bytes, body.length).u32() !== maskedCrc32(body)) throw new DecodeError('the checksum is wrong');
  const reader = new ByteReader(body);
  const version = reader.u8();
  if (version !== formatVersion) throw new DecodeError(`manifest of a Raft snapshot of format ${version}`);
  const head = { shard: ShardId(reader.varint()), index: LogIndex(reader.varint()), term: Term(reader.varint()) };
  const files: SnapshotFile[] = [];
  const names = new Set<string>();
  for (let left = reader.varint(); left > 0; left--) {
    const file = { name: reader.text(), bytes: reader.varint() };
    if (!isTreeFile(file.name)) throw new DecodeError(`no file of a tree is called ${JSON.stringify(file.name)}`);
    if (names.has(file.name)) throw new DecodeError(`${file.name} is there twice`);
    names.add(file.name);
    files.push(file);
  }
  reader.end();
  return { ...head, files };
}

/** Such a name stays within its folder. */
function isTreeFile(name: string): boolean {
  const { type } = parseFileName(name);
  return type === 'current' || type === 'manifest' || type === 'table' || type === 'values';
}
