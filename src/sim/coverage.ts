/**
 * Marks: rare paths of the product, and how often a run took each. A run that could have found a defect on a path but
 * never took it has shown nothing. So a large batch of runs fails when one of the marks was never reached.
 *
 * The product has no lines for this: a mark is a line that a node logs, a decision of Raft, or an error that a client got.
 */
import { type Configuration, isJoint } from '../raft/config.js';
import type { Ready, RaftMessage } from '../raft/types.js';
import type { Node } from '../node/node.js';
import type { EntryEffect } from '../shard/entry-effect.js';
import type { LogLine } from './logger.js';
import type { WatchedReplica } from './watched-replica.js';
import { waysToBreak } from './ways-to-break.js';

/** By the mark: what a node logs there. */
const lines = {
  tornTailCut: 'cut a torn batch off the log',
  segmentRecycled: 'a log segment is written over an old one',
  logOnReserve: 'the disk is full; the log lives on its reserve',
  logOffReserve: 'the log can grow again',
  logFailed: 'the log failed; nothing more is written',
  treeWaitsForSpace: 'no space on the disk: waiting',
  treeFlushedForLog: 'flushes a tree to shorten the log',
  checkpointMade: 'made a checkpoint for a Raft snapshot',
  snapshotOffered: 'offers a Raft snapshot',
  snapshotFetched: 'fetched a Raft snapshot',
  snapshotNotFetched: 'a Raft snapshot was not fetched',
  logKeptForFollower: 'the log is long, kept for a node that lacks entries',
  memtableFlushed: 'memtable flushed',
  tablesMerged: 'tables compacted',
  stalledLeaderYields: 'the log does not sync: hands over',
  lookupsStalled: 'the disk answers no lookup: hands over',
  preferredLeader: 'hands over to the preferred leader',
  silentPeer: 'closed a silent peer connection',
  peerLost: 'lost a peer connection',
  peerUnreachable: 'no connection to a peer',
  timestampsByRelay: 'gets timestamps by way of another node',
  replicaMadeByMessage: 'makes a replica that a leader speaks to',
  replicaAppliedRemoval: 'a replica has applied its removal',
  replicaToldOfRemoval: 'a replica was told that it was removed',
  tombstoneRefusedMessage: 'a message for a replica that was removed',
  nodeRetired: 'is asked to replace a node',
  nodeVacant: 'a node that is replaced has no replicas any more',
  nodeReplaced: 'a node has a replica that it was to have',
  nodeRepaired: 'the damaged data directory was put aside: the node comes back with an empty one',
  nodeRemovalAsked: 'is asked to remove a node',
  nodeRemoved: 'a node is removed',
  learnerPromoted: 'a learner votes from now on',
  handedOverToLeave: 'hands over before it leaves',
} as const;

/** Decisions of Raft, and what applying an entry did. */
const decisions = [
  'leaderElected',
  'leaderSteppedDown',
  'readsLost',
  /** A follower tells the leader where its log parts from the leader's. */
  'conflictBackOff',
  /** Entries that were never committed give way to a later leader's. */
  'entriesReplaced',
  /** A change of the group is among them. */
  'changeReplaced',
  /** A follower lacks what is no longer in memory. */
  'oldEntriesRead',
  'leadershipTransferred',
  'fellQuiet',
  'wokeUp',
  'logTruncated',
  'snapshotInstalled',
  /** A replica is added, or goes, or votes from now on, or no more. */
  'membersChanged',
  'votersChanged',
  /** Two sets of voters act together, until the first is left. */
  'jointEntered',
  /** By whoever led then, without being asked. */
  'jointLeft',
] as const;

/** What a process has counted when it ends. */
const sums = [
  /** A single read was answered under a lease. */
  'leaseReads',
  /** Live entries of an old log segment were written to a new one. */
  'entriesRewritten',
] as const;

/** What an operator sees who adds nodes and removes them (node-operator.ts), how machines were partitioned, and what stays broken at first when faults end. */
const sights = [
  /** A shard has moved to a node that was added. */
  'addedNodeUsed',
  /** Another node led the placement group at the end of a removal than at its beginning. */
  'removalCarriedOn',
  /** A removed node's process was refused, and has stopped. */
  'removedNodeWasTold',
  /** It has joined anew, under its old id. */
  'removedNodeCameAgain',
  /** A partition left each machine the lines to two others only. */
  'ring',
  ...waysToBreak,
  /** One line between two machines, instead of a minority. */
  'cutLine',
] as const;

/** All that a replica holds was read, and held against what its entries add up to: when its process had started, … */
const stateReads = ['stateReadAtStart', 'stateReadAfterInstall', 'stateReadMeanwhile'] as const;

/** … and what it shows of older versions besides. */
const olderStateRead = 'olderStateRead';

/** Errors that clients get when something is wrong, by their codes. */
const answers = [
  'SHARD_UNAVAILABLE',
  'OVERLOADED',
  'DISK_FULL',
  'DEADLINE_EXCEEDED',
  'READ_TOO_OLD',
  'KEYS_IN_DIFFERENT_SHARDS',
] as const;

type Sight = (typeof sights)[number];
export type StateMark = (typeof stateReads)[number];
/** Beside the one of its line: a Raft snapshot was fetched, though some of it had to be asked for again. */
const readAgain = 'snapshotReadAgain';
export type Mark =
  | keyof typeof lines
  | typeof readAgain
  | (typeof decisions)[number]
  | (typeof sums)[number]
  | Sight
  | StateMark
  | typeof olderStateRead
  | (typeof answers)[number];

export const marks: readonly Mark[] = [
  ...(Object.keys(lines) as (keyof typeof lines)[]),
  readAgain,
  ...decisions,
  ...sums,
  ...sights,
  ...stateReads,
  olderStateRead,
  ...answers,
];

const markOfLine: ReadonlyMap<string, Mark> = new Map(
  Object.entries(lines).map(([mark, message]) => [message, mark as Mark]),
);

/** How often one run, or all runs so far, took each path. */
export class Coverage {
  readonly counts = Object.fromEntries(marks.map((mark) => [mark, 0])) as Record<Mark, number>;

  /** A node has logged this. */
  logged({ message, fields }: Pick<LogLine, 'message' | 'fields'>): void {
    const mark = markOfLine.get(message);
    if (mark === undefined) return;
    this.counts[mark]++;
    if (mark === 'snapshotFetched' && Number(fields.readsAgain) > 0) this.counts.snapshotReadAgain++;
  }

  /** The process of this node ends now. */
  ended({ host }: Node): void {
    for (const { replica } of host.shards) this.counts.leaseReads += replica.reads.leaseReads;
    if (host.logStats.rewrittenBytes > 0) this.counts.entriesRewritten++;
  }

  /** An operator has seen this. */
  operated(sight: Sight): void {
    this.counts[sight]++;
  }

  /** What a replica holds was read. */
  stateRead(mark: StateMark | typeof olderStateRead): void {
    this.counts[mark]++;
  }

  /** A client got an error with this code. */
  refused(code: string): void {
    if (code in this.counts) this.counts[code as Mark]++;
  }

  /** A replica has decided this, after its `last` step. */
  ready({ last, changes }: WatchedReplica, ready: Ready): void {
    const { softState, entries, messages } = ready;
    const isLeader = softState?.role === 'leader';
    if (isLeader && last?.isLeader !== true) this.counts.leaderElected++;
    if (softState !== undefined && !isLeader && last?.isLeader === true) this.counts.leaderSteppedDown++;
    if (ready.readsLost) this.counts.readsLost++;
    if (ready.logReads.length > 0) this.counts.oldEntriesRead++;
    if (last !== undefined && entries.length > 0 && entries[0].index <= last.lastIndex) {
      this.counts.entriesReplaced++;
      if (changes.some((index) => index >= entries[0].index)) this.counts.changeReplaced++;
    }
    if (last?.isQuiet === true && entries.length > 0) this.counts.wokeUp++;
    for (const message of messages) this.#sent(message);
    for (const message of ready.messagesAfterSync) this.#sent(message);
  }

  /** A replica has applied an entry with this effect. */
  applied(seen: WatchedReplica, effect: EntryEffect): void {
    if (effect.type === 'truncateLog') this.counts.logTruncated++;
    if (effect.type === 'changeGroup') this.#groupChanged(seen.configuration, effect.descriptor.configuration);
  }

  #groupChanged(before: Configuration | undefined, configuration: Configuration): void {
    this.counts.membersChanged++;
    if (isJoint(configuration)) this.counts.jointEntered++;
    if (before === undefined) return;
    if (before.autoLeave && !isJoint(configuration)) this.counts.jointLeft++;
    if (before.voters.join() !== configuration.voters.join()) this.counts.votersChanged++;
  }

  /** A Raft snapshot took the place of what a replica had. */
  installed(): void {
    this.counts.snapshotInstalled++;
  }

  #sent(message: RaftMessage): void {
    if (message.type === 'appendResponse' && message.rejected) this.counts.conflictBackOff++;
    else if (message.type === 'timeoutNow') this.counts.leadershipTransferred++;
    else if (message.type === 'heartbeat' && message.quiesce) this.counts.fellQuiet++;
  }
}
