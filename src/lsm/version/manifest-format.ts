/**
 * The form of a manifest and of CURRENT, the root of a tree; docs/formats/manifest.md has them to the byte.
 *
 * A manifest is a header and records, of which the first has all tables and each further one an edit. CURRENT names a
 * manifest, how many of its bytes count, and the checksum of those. An edit counts when the CURRENT that covers it is
 * durable. So a record that a crash cut off lies beyond what counts, and whatever does not check within is damage:
 * the two cannot be mistaken for each other.
 */
import { equalBytes, utf8 } from '../../base/bytes.js';
import { maskedCrc32 } from '../../base/checksum.js';
import { ByteReader, ByteWriter, DecodeError } from '../../base/coding.js';

const manifestFormatVersion = 4;
const manifestMagic = utf8('QRMANIF\n');
const currentMagic = utf8('QRTREE\n\n');

export const manifestHeaderBytes = 20;
/** Before the payload of each record: its length and its masked CRC-32. */
const recordHeaderBytes = 8;
const currentBytes = 36;

/** What CURRENT says. */
export interface ManifestPointer {
  readonly number: number;
  /** Bytes of the manifest that count. */
  readonly length: number;
  /** CRC-32 of those. */
  readonly checksum: number;
}

export function encodeManifestHeader(number: number): Uint8Array {
  return new ByteWriter(manifestHeaderBytes).raw(manifestMagic).u32(manifestFormatVersion).u53(number).finish();
}

export function checkManifestHeader(bytes: Uint8Array, number: number): void {
  const reader = new ByteReader(bytes);
  if (!equalBytes(reader.raw(manifestMagic.length), manifestMagic)) throw new DecodeError('not a manifest');
  const version = reader.u32();
  if (version !== manifestFormatVersion) throw new DecodeError(`unknown format version ${version}`);
  const own = reader.u53();
  if (own !== number) throw new DecodeError(`it is manifest ${own}, not ${number}`);
}

export function encodeManifestRecord(payload: Uint8Array): Uint8Array {
  return new ByteWriter(recordHeaderBytes + payload.length)
    .u32(payload.length)
    .u32(maskedCrc32(payload))
    .raw(payload)
    .finish();
}

/** Payload of the record that `reader` stands before. */
export function decodeManifestRecord(reader: ByteReader): Uint8Array {
  const length = reader.u32();
  const checksum = reader.u32();
  const payload = reader.raw(length);
  if (maskedCrc32(payload) !== checksum) throw new DecodeError('a record does not match its checksum');
  return payload;
}

export function encodeCurrent(pointer: ManifestPointer): Uint8Array {
  const writer = new ByteWriter(currentBytes)
    .raw(currentMagic)
    .u32(manifestFormatVersion)
    .u53(pointer.number)
    .u53(pointer.length)
    .u32(pointer.checksum);
  return writer.u32(maskedCrc32(writer.view())).finish();
}

export function decodeCurrent(bytes: Uint8Array): ManifestPointer {
  if (bytes.length !== currentBytes) throw new DecodeError(`it has ${bytes.length} bytes, not ${currentBytes}`);
  const reader = new ByteReader(bytes);
  const checksum = maskedCrc32(bytes.subarray(0, currentBytes - 4));
  if (!equalBytes(reader.raw(currentMagic.length), currentMagic)) throw new DecodeError('not the root of a tree');
  const version = reader.u32();
  const pointer = { number: reader.u53(), length: reader.u53(), checksum: reader.u32() };
  if (reader.u32() !== checksum) throw new DecodeError('it does not match its checksum');
  if (version !== manifestFormatVersion) throw new DecodeError(`unknown format version ${version}`);
  return pointer;
}
