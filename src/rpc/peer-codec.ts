/**
 * PeerFrame as bytes and back (proto/peer.proto). What is decoded is checked as far as a message alone can be: ids in
 * range, enums known, numbers below 2^53, required parts there; anything else is a {@link DecodeError}, and the
 * connection it came from is closed. Decoded byte strings are copies: the frame may be reused.
 */
import { unreachable } from '../base/assert.js';
import { DecodeError } from '../base/coding.js';
import { decodeNodeId, required } from './decode-ids.js';
import type { Hello, PeerFrame } from './peer-messages.js';
import { readRaftFrame, writeRaftFrame } from './peer-raft-codec.js';
import { readRequestFrame, writeRequestFrame } from './peer-request-codec.js';
import { readResponseFrame, writeResponseFrame } from './peer-response-codec.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

const bodyField = { hello: 1, raft: 2, request: 3, response: 4, alive: 5 } as const;

/**
 * The bytes are owned by the caller.
 *
 * @param bytesExpected about as many as the frame will have, where that is known
 */
export function encodePeerFrame(frame: PeerFrame, bytesExpected = 256): Uint8Array {
  const writer = new WireWriter(bytesExpected);
  const mark = writer.begin(bodyField[frame.type]);
  switch (frame.type) {
    case 'hello':
      writeHello(writer, frame);
      break;
    case 'raft':
      writeRaftFrame(writer, frame);
      break;
    case 'request':
      writeRequestFrame(writer, frame);
      break;
    case 'response':
      writeResponseFrame(writer, frame);
      break;
    case 'alive':
      break;
    default:
      unreachable(frame);
  }
  writer.end(mark);
  return writer.finish();
}

/** Throws {@link DecodeError}, and nothing else, whatever the bytes. */
export function decodePeerFrame(bytes: Uint8Array): PeerFrame {
  const reader = new WireReader(bytes);
  let frame: PeerFrame | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case bodyField.hello:
        frame = readHello(reader.message());
        break;
      case bodyField.raft:
        frame = readRaftFrame(reader.message());
        break;
      case bodyField.request:
        frame = readRequestFrame(reader.message());
        break;
      case bodyField.response:
        frame = readResponseFrame(reader.message());
        break;
      case bodyField.alive:
        reader.skip();
        frame = { type: 'alive' };
        break;
      default:
        reader.skip();
    }
  }
  return required(frame, 'the body of a frame');
}

function writeHello(writer: WireWriter, hello: Hello): void {
  writer.text(1, hello.clusterId);
  writer.uint(2, hello.nodeId);
  writer.text(3, hello.storeId);
  writer.uint(4, hello.protocolMin);
  writer.uint(5, hello.protocolMax);
  writer.text(6, hello.peerAddress);
}

function readHello(reader: WireReader): Hello {
  let clusterId = '';
  let nodeId = 0;
  let storeId = '';
  let protocolMin = 0;
  let protocolMax = 0;
  let peerAddress = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        clusterId = reader.text();
        break;
      case 2:
        nodeId = reader.uint();
        break;
      case 3:
        storeId = reader.text();
        break;
      case 4:
        protocolMin = reader.uint32();
        break;
      case 5:
        protocolMax = reader.uint32();
        break;
      case 6:
        peerAddress = reader.text();
        break;
      default:
        reader.skip();
    }
  }
  if (protocolMin > protocolMax) throw new DecodeError(`protocol versions ${protocolMin} to ${protocolMax}`);
  return { type: 'hello', clusterId, nodeId: decodeNodeId(nodeId), storeId, peerAddress, protocolMin, protocolMax };
}
