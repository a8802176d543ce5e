/** What the placement group has decided, read from a replica of its state. Immutable; made anew after a change. */
import { Timestamp, timestampMax } from '../base/ids.js';
import type { NodeId } from '../base/ids.js';
import { emptyBytes } from '../base/bytes.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import { decodeDescriptor } from '../shard/descriptor.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { decodeHighWater, decodeNodeRecord, decodeReplacement, placementKeyType } from './placement-format.js';
import type { NodeRecord, Replacement } from './placement-format.js';
import { ShardMap } from './shard-map.js';

export interface PlacementState {
  readonly nodes: ReadonlyMap<NodeId, NodeRecord>;
  readonly shardMap: ShardMap;
  readonly highWater: Timestamp;
  /** Data directories that are out of use for good, by their store ids. */
  readonly retiredStores: ReadonlySet<string>;
  /** Nodes that get another data directory. */
  readonly replacements: ReadonlyMap<NodeId, Replacement>;
}

export const emptyPlacementState: PlacementState = {
  nodes: new Map(),
  shardMap: new ShardMap(0, []),
  highWater: Timestamp(0),
  retiredStores: new Set(),
  replacements: new Map(),
};

const pageRecords = 1000;
const pageBytes = 1024 * 1024;

/** Reads the whole state as of what the machine has applied. */
export async function loadPlacementState(machine: StateMachine): Promise<PlacementState> {
  const nodes = new Map<NodeId, NodeRecord>();
  const shards: ShardDescriptor[] = [];
  const retiredStores = new Set<string>();
  const replacements = new Map<NodeId, Replacement>();
  let revision = 0;
  let highWater = Timestamp(0);
  const at = machine.maxVersion === 0 ? timestampMax : machine.maxVersion;
  let start: Uint8Array | undefined = emptyBytes;
  while (start !== undefined) {
    const page = await machine.scan({
      start,
      end: emptyBytes,
      at,
      reverse: false,
      keysOnly: false,
      bytesMax: pageBytes,
      recordsMax: pageRecords,
    });
    for (const { key, value, version } of page.records) {
      switch (placementKeyType(key)) {
        case 'node': {
          const node = decodeNodeRecord(value);
          nodes.set(node.id, node);
          break;
        }
        case 'shard':
          shards.push(decodeDescriptor(value));
          revision = Math.max(revision, version);
          break;
        case 'retired':
          retiredStores.add(decodeNodeRecord(value).storeId);
          break;
        case 'replacement': {
          const replacement = decodeReplacement(value);
          replacements.set(replacement.node, replacement);
          break;
        }
        case 'highWater':
          highWater = decodeHighWater(value);
          break;
      }
    }
    start = page.resume;
  }
  return { nodes, shardMap: new ShardMap(revision, shards), highWater, retiredStores, replacements };
}
