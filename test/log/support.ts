import { defined } from '../../src/base/assert.js';
import { crc32 } from '../../src/base/checksum.js';
import { LogIndex, ReplicaId, ShardId, Term } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { silentLogger } from '../../src/env/logger.js';
import { SharedLog, type SharedLogOptions } from '../../src/log/shared-log.js';
import type { Entry, HardState } from '../../src/raft/types.js';
import { SimDisk } from '../../src/sim/disk.js';

export const directory = '/log';

export function newDisk(seed = 1): SimDisk {
  return new SimDisk({ random: new Prng(seed) });
}

export async function openLog(disk: SimDisk, options: Partial<SharedLogOptions> = {}): Promise<SharedLog> {
  return SharedLog.open({
    disk,
    directory,
    segmentBytesMax: 4096,
    rewriteBytesMin: Infinity,
    spareSegmentsMax: 0,
    cacheBytesMax: 1024,
    logger: silentLogger,
    ...options,
  });
}

/** `count` entries from `first` on, with `bytes` bytes of data that tell index and term. */
export function entries(first: number, count: number, term: number, bytes = 20): Entry[] {
  return Array.from({ length: count }, (_, i) => ({
    index: LogIndex(first + i),
    term: Term(term),
    data: new Uint8Array(bytes).fill((first + i) * 7 + term),
  }));
}

export function hardState(term: number, vote: number, commit: number): HardState {
  return { term: Term(term), vote: vote === 0 ? 0 : ReplicaId(vote), commit: LogIndex(commit) };
}

/** All that can be read of one group. */
export interface GroupContent {
  readonly firstIndex: number;
  readonly baseTerm: number;
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** For comparisons and for messages: one line for the group, one for each entry. */
export function toText(content: GroupContent): string {
  const { term, vote, commit } = content.hardState;
  const lines = content.entries.map((e) => `${e.index} in term ${e.term}: ${crc32(e.data)}`);
  return [`from ${content.firstIndex} after ${content.baseTerm}; ${term}/${vote}/${commit}`, ...lines].join('\n');
}

/** Reads all entries, in small portions, from memory or disk. */
export async function contentOf(log: SharedLog, id: number): Promise<GroupContent> {
  const group = log.group(ShardId(id));
  const found: Entry[] = [];
  while (group.firstIndex + found.length <= group.lastIndex) {
    const from = LogIndex(group.firstIndex + found.length);
    found.push(...(await group.read(from, group.lastIndex, 200)));
  }
  return {
    firstIndex: group.firstIndex,
    baseTerm: defined(group.term(LogIndex(group.firstIndex - 1)), 'the term before the first entry'),
    entries: found,
    hardState: group.hardState,
  };
}

export type Operation =
  | {
      readonly type: 'append';
      readonly shard: number;
      readonly entries: readonly Entry[];
      readonly hardState?: HardState;
    }
  | { readonly type: 'commit'; readonly shard: number; readonly hardState: HardState }
  | { readonly type: 'drop'; readonly shard: number }
  | { readonly type: 'truncate'; readonly shard: number; readonly index: number; readonly term: number };

/** Resolves when it is durable; at once where nobody waits for that. */
export function perform(log: SharedLog, operation: Operation): Promise<void> {
  const id = ShardId(operation.shard);
  switch (operation.type) {
    case 'append':
      return log.append(id, { hardState: operation.hardState, entries: operation.entries, mustSync: true });
    case 'commit':
      return log.append(id, { hardState: operation.hardState, entries: [], mustSync: false });
    case 'drop':
      return log.drop(id);
    case 'truncate':
      log.group(id).truncatePrefix(LogIndex(operation.index), Term(operation.term));
      return Promise.resolve();
  }
}

/** Lets everything run that does not wait for anything from outside; simulated disks take no time. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
