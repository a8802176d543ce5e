import { QuorateError } from '../base/errors.js';
import type { ShardId } from '../base/ids.js';

/** The answer of a replica to what only its leader may do. */
export function notLeaderError(shard: ShardId): QuorateError {
  return new QuorateError('NOT_LEADER', `this node does not lead shard ${shard}`, { shard });
}
