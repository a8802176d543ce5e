/** Requests and responses about the data of Raft snapshots, as proto/peer.proto has them. */
import { emptyBytes } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import { Term } from '../base/ids.js';
import type { RaftSnapshot } from '../raft/types.js';
import { readSnapshot, writeSnapshot } from './configuration-codec.js';
import { decodeReplicaId, decodeShardId, required } from './decode-ids.js';
import type { PeerRequest, PeerResponse } from './peer-messages.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

type Offer = Extract<PeerRequest, { readonly type: 'offerSnapshot' }>;
type Read = Extract<PeerRequest, { readonly type: 'readSnapshot' }>;
type Chunk = Extract<PeerResponse, { readonly type: 'snapshotChunk' }>;

/** The fields of `OfferSnapshot`. */
export function writeOffer(writer: WireWriter, { shard, request, checkpoint, manifestBytes, storeId }: Offer): void {
  writer.uint(1, shard);
  writer.uint(2, request.from);
  writer.uint(3, request.to);
  writer.uint(4, request.term);
  const mark = writer.begin(5);
  writeSnapshot(writer, request.snapshot);
  writer.end(mark);
  writer.uint(6, checkpoint);
  writer.uint(7, manifestBytes);
  writer.text(8, storeId ?? '');
}

export function readOffer(reader: WireReader): Offer {
  let [shard, from, to, term, checkpoint, manifestBytes] = [0, 0, 0, 0, 0, 0];
  let snapshot: RaftSnapshot | undefined;
  let storeId = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2:
        from = reader.uint();
        break;
      case 3:
        to = reader.uint();
        break;
      case 4:
        term = reader.uint();
        break;
      case 5:
        snapshot = readSnapshot(reader.message());
        break;
      case 6:
        checkpoint = reader.uint();
        break;
      case 7:
        manifestBytes = reader.uint();
        break;
      case 8:
        storeId = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  if (manifestBytes === 0) throw new DecodeError('a Raft snapshot without a manifest');
  const address = { from: decodeReplicaId(from), to: decodeReplicaId(to), term: Term(term) };
  const request = { type: 'snapshotRequest', ...address, snapshot: required(snapshot, 'a Raft snapshot') } as const;
  const offer = { type: 'offerSnapshot', shard: decodeShardId(shard), request, checkpoint, manifestBytes } as const;
  return { ...offer, storeId: storeId === '' ? undefined : storeId };
}

/** The fields of `ReadSnapshot`. */
export function writeSnapshotRead(writer: WireWriter, { shard, checkpoint, file, offset, bytesMax }: Read): void {
  writer.uint(1, shard);
  writer.uint(2, checkpoint);
  writer.text(3, file);
  writer.uint(4, offset);
  writer.uint(5, bytesMax);
}

export function readSnapshotRead(reader: WireReader): Read {
  let [shard, checkpoint, offset, bytesMax] = [0, 0, 0, 0];
  let file = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        shard = reader.uint();
        break;
      case 2:
        checkpoint = reader.uint();
        break;
      case 3:
        file = reader.text();
        break;
      case 4:
        offset = reader.uint();
        break;
      case 5:
        bytesMax = reader.uint();
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'readSnapshot', shard: decodeShardId(shard), checkpoint, file, offset, bytesMax };
}

/** The fields of `SnapshotChunk`. */
export function writeChunk(writer: WireWriter, { bytes, checksum }: Chunk): void {
  writer.bytes(1, bytes);
  writer.uint(2, checksum);
}

export function readChunk(reader: WireReader): Chunk {
  let bytes = emptyBytes;
  let checksum = 0;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        bytes = reader.ownedBytes();
        break;
      case 2:
        checksum = reader.uint32();
        break;
      default:
        reader.skip();
    }
  }
  return { type: 'snapshotChunk', bytes, checksum };
}
