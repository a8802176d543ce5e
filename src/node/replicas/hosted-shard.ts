import type { Replica } from '../../shard/replica.js';
import type { ShardTree } from './shard-tree.js';

/** A replica with what it stands on. */
export interface HostedShard {
  readonly replica: Replica;
  readonly tree: ShardTree;
}
