import { AssertionError } from '../../base/assert.js';
import { crc32 } from '../../base/checksum.js';
import { ByteReader, DecodeError } from '../../base/coding.js';
import { CorruptionError } from '../../base/errors.js';
import type { LogIndex } from '../../base/ids.js';
import { LogIndex as logIndex } from '../../base/ids.js';
import { DiskError, readWholeFile, type Disk } from '../../env/disk.js';
import { noValueFiles, valueFilesAfter, type ValueFiles } from '../value/value-files.js';
import { currentFileName, manifestFileName } from './file-names.js';
import { applyEdit, emptyLevels, type Levels } from './levels.js';
import {
  checkManifestHeader,
  decodeCurrent,
  decodeManifestRecord,
  manifestHeaderBytes,
  type ManifestPointer,
} from './manifest-format.js';
import { decodeVersionRecord } from './version-edit.js';

/** What a tree remembers across restarts. */
export interface TreeState {
  readonly levels: Levels;
  readonly valueFiles: ValueFiles;
  readonly appliedIndex: LogIndex;
  readonly nextFileNumber: number;
}

export interface Manifest {
  readonly pointer: ManifestPointer;
  /** Length of header and first record: what a new manifest would about have. */
  readonly snapshotBytes: number;
  readonly state: TreeState;
}

/** Reads CURRENT and the manifest that it names. Whatever does not check is a CorruptionError. */
export async function readManifest(disk: Disk, directory: string): Promise<Manifest> {
  const currentPath = `${directory}/${currentFileName}`;
  const current = await readExisting(disk, currentPath);
  const pointer = decode(currentPath, 0, () => decodeCurrent(current));

  const path = `${directory}/${manifestFileName(pointer.number)}`;
  const whole = await readExisting(disk, path);
  if (whole.length < pointer.length) {
    throw new CorruptionError(path, whole.length, `it has ${whole.length} bytes, of which ${pointer.length} count`);
  }
  const counted = whole.subarray(0, pointer.length);
  decode(path, 0, () => checkManifestHeader(counted, pointer.number));

  let state: TreeState = {
    levels: emptyLevels,
    valueFiles: noValueFiles,
    appliedIndex: logIndex(0),
    nextFileNumber: 0,
  };
  let snapshotBytes = 0;
  for (let offset = manifestHeaderBytes; offset < counted.length;) {
    const reader = new ByteReader(counted, offset);
    state = decode(path, offset, () => {
      const { appliedIndex, nextFileNumber, ...edit } = decodeVersionRecord(decodeManifestRecord(reader));
      const valueFiles = valueFilesAfter(state.valueFiles, state.levels, edit);
      return { levels: applyEdit(state.levels, edit), valueFiles, appliedIndex, nextFileNumber };
    });
    offset = reader.offset;
    if (snapshotBytes === 0) snapshotBytes = offset;
  }
  if (snapshotBytes === 0) throw new CorruptionError(path, manifestHeaderBytes, 'it has no record');
  if (crc32(counted) !== pointer.checksum) {
    throw new CorruptionError(path, 0, `its first ${pointer.length} bytes are not those that CURRENT means`);
  }
  return { pointer, snapshotBytes, state };
}

async function readExisting(disk: Disk, path: string): Promise<Uint8Array> {
  try {
    return await readWholeFile(disk, path);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'notFound') throw new CorruptionError(path, 0, 'it is missing');
    throw error;
  }
}

/** Bytes of the wrong form, and edits that make no sense, are damage of this file. */
function decode<T>(path: string, offset: number, decoder: () => T): T {
  try {
    return decoder();
  } catch (error) {
    if (error instanceof DecodeError || error instanceof AssertionError) {
      throw new CorruptionError(path, offset, error.message, error);
    }
    throw error;
  }
}
