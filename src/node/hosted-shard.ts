import type { Tree } from '../lsm/tree.js';
import type { Replica } from '../shard/replica.js';

/** A replica with what it stands on. */
export interface HostedShard {
  readonly replica: Replica;
  readonly tree: Tree;
}
