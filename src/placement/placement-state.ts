/** What the placement group has decided, read from a replica of its state. Immutable; made anew after a change. */
import { Timestamp, timestampMax } from '../base/ids.js';
import type { NodeId } from '../base/ids.js';
import { emptyBytes } from '../base/bytes.js';
import type { StateMachine } from '../mvcc/state-machine.js';
import { decodeDescriptor } from '../shard/descriptor.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import {
  decodeHighWater,
  decodeNodeRecord,
  decodeRemoval,
  decodeReplacement,
  placementKeyType,
} from './placement-format.js';
import type { NodeRecord, Removal, Replacement } from './placement-format.js';
import { ShardMap } from './shard-map.js';

export interface PlacementState {
  readonly nodes: ReadonlyMap<NodeId, NodeRecord>;
  readonly shardMap: ShardMap;
  readonly highWater: Timestamp;
  /** Data directories that are out of use for good, by their store ids, with the nodes that had them. */
  readonly retiredStores: ReadonlyMap<string, NodeId>;
  /** Nodes that get another data directory. */
  readonly replacements: ReadonlyMap<NodeId, Replacement>;
  /** Nodes that are to go. */
  readonly removals: ReadonlyMap<NodeId, Removal>;
}

export const emptyPlacementState: PlacementState = {
  nodes: new Map(),
  shardMap: new ShardMap(0, []),
  highWater: Timestamp(0),
  retiredStores: new Map(),
  replacements: new Map(),
  removals: new Map(),
};

const pageRecords = 1000;
const pageBytes = 1024 * 1024;

/** Reads the whole state as of what the machine has applied. */
export async function loadPlacementState(machine: Pick<StateMachine, 'maxVersion' | 'scan'>): Promise<PlacementState> {
  const nodes = new Map<NodeId, NodeRecord>();
  const shards: ShardDescriptor[] = [];
  const retiredStores = new Map<string, NodeId>();
  const replacements = new Map<NodeId, Replacement>();
  const removals = new Map<NodeId, Removal>();
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
        case 'retired': {
          const { id, storeId } = decodeNodeRecord(value);
          retiredStores.set(storeId, id);
          break;
        }
        case 'replacement': {
          const replacement = decodeReplacement(value);
          replacements.set(replacement.node, replacement);
          break;
        }
        case 'removal': {
          const removal = decodeRemoval(value);
          removals.set(removal.node, removal);
          break;
        }
        case 'highWater':
          highWater = decodeHighWater(value);
          break;
      }
    }
    start = page.resume;
  }
  const shardMap = new ShardMap(revision, shards);
  return { nodes, shardMap, highWater, retiredStores, replacements, removals };
}
