/** The slow, obvious twin of our codecs: protobufjs, reading the .proto files that clients get. */
import { createRequire } from 'node:module';
import path from 'node:path';
import protobuf from 'protobufjs';

const folder = path.dirname(createRequire(import.meta.url).resolve('#proto/kv.proto'));

function load(): protobuf.Root {
  const root = new protobuf.Root();
  const resolve = root.resolvePath.bind(root);
  root.resolvePath = (origin, target) =>
    target.startsWith('google/protobuf/') ? resolve(origin, target) : path.join(folder, target);
  return root.loadSync(['kv.proto', 'admin.proto', 'peer.proto', 'google/rpc/status.proto'], { keepCase: true });
}

export const root = load();

/** What other implementations see in `bytes`: a plain object, numbers as numbers, enums as names, bytes in base64. */
export function twinDecode(type: string, bytes: Uint8Array): Record<string, unknown> {
  const messageType = root.lookupType(type);
  return messageType.toObject(messageType.decode(bytes), { longs: Number, enums: String, bytes: String });
}

export function twinEncode(type: string, message: Record<string, unknown>): Uint8Array {
  const messageType = root.lookupType(type);
  return messageType.encode(messageType.fromObject(message)).finish();
}

/** Through the twin and back: what it understood, in its own encoding. */
export function throughTwin(type: string, bytes: Uint8Array): Uint8Array {
  const messageType = root.lookupType(type);
  return messageType.encode(messageType.decode(bytes)).finish();
}
