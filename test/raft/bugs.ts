import type { WalkPlan } from './walk.js';

/**
 * The bug zoo of the core: each bug breaks one rule, by a change to one line of a copy of the sources. So the product
 * has no switches, and a bug whose line is gone is noticed. Rules that the core has no part in (atomic batches of state,
 * replica ids that are never reused, request ids) are broken in test/sim/bugs.ts.
 */
export interface Bug {
  /** What the broken core does. */
  readonly name: string;
  readonly file: string;
  /** Stands in the file once. */
  readonly line: string;
  readonly broken: string;
  /**
   * A violation of what chaos, or a walk, checks at every step, within so many seeds. Or, where that takes too long: what the
   * golden script that was written for it answers to a command, and the broken core does not. Or, where the order of events is
   * one that none of them brings about, the late syncs of bench.ts.
   */
  readonly foundBy:
    | { readonly type: 'chaos'; readonly seedsMax: number; readonly violation: RegExp }
    | { readonly type: 'walk'; readonly plan: WalkPlan; readonly seedsMax: number; readonly violation: RegExp }
    | { readonly type: 'script'; readonly name: string; readonly answer: string }
    | { readonly type: 'lateSyncs' };
}

const twoLeaders = /\d and \d lead term \d|two leaders|leads in term \d+ too|the leader of term \d+ lacks entry/;
const staleRead = /a read at \d+ misses what was committed/;
const staleLease = /may read at \d+ under a lease, and \d+ is committed/;
const notOnQuorum = /entry \d+ is committed, but not on a quorum's disks/;
const another = /another committed entry|applies another|not on a quorum's disks/;
const twoChanges = /has \d changes in its log that it does not know to be committed|can decide without the one before/;
const stuck = /ticks without faults it is not so that/;

/** Of a walk: three voters, and time and links alone. */
const noFaults: WalkPlan = { voters: 3, holdDisk: 0, losePower: 0, transfer: 0, heldChance: 0 };

export const bugs: readonly Bug[] = [
  {
    name: 'commits entries of earlier terms by counting (pitfall 1)',
    file: 'replication.ts',
    line: 'if (index > log.commitIndex && log.term(index) === term) log.commitTo(index);',
    broken: 'if (index > log.commitIndex) log.commitTo(index);',
    foundBy: {
      type: 'script',
      name: 'figure-8',
      answer: '> status 1\n  1 is leader in term 3, leader 1: log 1..3, durable 3, committed 1,',
    },
  },
  {
    name: 'lets a delayed, shorter append truncate the log (pitfall 2)',
    file: 'raft-log.ts',
    line: 'if (this.term(entries[i].index) === entries[i].term) continue;',
    broken: '',
    foundBy: { type: 'chaos', seedsMax: 100, violation: another },
  },
  {
    name: 'votes before the vote is synced (pitfall 3)',
    file: 'roles.ts',
    line: `this.#outbox.sendAfterSync({
      type: request.type === 'preVoteRequest'`,
    broken: `this.#outbox.send({
      type: request.type === 'preVoteRequest'`,
    foundBy: {
      type: 'walk',
      plan: { hasLeases: false, voters: 3, holdDisk: 4, losePower: 6, transfer: 0, campaign: 6 },
      seedsMax: 40,
      violation: twoLeaders,
    },
  },
  {
    name: 'acknowledges entries before they are synced (pitfall 3)',
    file: 'inbox.ts',
    line: "this.#outbox.sendAfterSync({ type: 'appendResponse'",
    broken: "this.#outbox.send({ type: 'appendResponse'",
    foundBy: { type: 'chaos', seedsMax: 10, violation: notOnQuorum },
  },
  {
    name: 'counts itself before its own sync (pitfall 4)',
    file: 'replication.ts',
    line: 'replica === options.self ? log.stableIndex :',
    broken: 'replica === options.self ? log.lastIndex :',
    foundBy: { type: 'chaos', seedsMax: 10, violation: notOnQuorum },
  },
  {
    name: 'answers reads before it has committed in its term (pitfall 6)',
    file: 'raft.ts',
    line: "if (!leader.hasCommittedInTerm) return { type: 'refused', reason: 'notReady' };",
    broken: '',
    foundBy: { type: 'chaos', seedsMax: 30, violation: staleRead },
  },
  {
    name: 'takes any answer for one to the newest round of reads (pitfall 7)',
    file: 'leader.ts',
    line: 'progress.heartbeatAnswered(message.readRound, message.probe);',
    broken: 'progress.heartbeatAnswered(this.#reads.newest, message.probe);',
    foundBy: {
      type: 'walk',
      plan: { ...noFaults, hasLeases: false, campaign: 4 },
      seedsMax: 300,
      violation: staleRead,
    },
  },
  {
    name: 'counts a lease from the answers, not from the question (pitfall 8)',
    file: 'leader.ts',
    line: 'if (begunMs !== undefined) this.#lease.proven(begunMs);',
    broken: 'if (begunMs !== undefined) this.#lease.proven(this.#context.options.lease?.monotonicMs() ?? 0);',
    foundBy: {
      type: 'walk',
      plan: { ...noFaults, hasLeases: true, campaign: 4 },
      seedsMax: 600,
      violation: staleLease,
    },
  },
  {
    name: 'forgets in a restart that it protects a leader (pitfall 8)',
    file: 'lease.ts',
    line: 'if (hasDurableTerm) this.renew();',
    broken: '',
    foundBy: {
      type: 'walk',
      plan: { ...noFaults, hasLeases: true, losePower: 8, campaign: 6 },
      seedsMax: 100,
      violation: staleLease,
    },
  },
  {
    name: 'promises to protect a leader before it can know that after a restart (pitfall 8)',
    file: 'inbox.ts',
    line: 'if (keepsPromise) this.#outbox.send(answer);',
    broken: 'if (keepsPromise || true) this.#outbox.send(answer);',
    foundBy: {
      type: 'walk',
      plan: { ...noFaults, hasLeases: true, heldChance: 0.4, losePower: 4, campaign: 6, steps: 40 },
      seedsMax: 10000,
      violation: staleLease,
    },
  },
  {
    name: 'keeps its lease when it hands over (pitfall 9)',
    file: 'leader.ts',
    line: 'this.#lease.giveUp();',
    broken: '',
    foundBy: {
      type: 'walk',
      plan: { ...noFaults, hasLeases: true, transfer: 4 },
      seedsMax: 300,
      violation: staleLease,
    },
  },
  {
    name: 'does not tell who is behind what the term is (pitfall 10)',
    file: 'inbox.ts',
    line: 'if (message.term < term) this.#answerLowerTerm(message);',
    broken: 'if (message.term < term) return;',
    foundBy: { type: 'chaos', seedsMax: 300, violation: stuck },
  },
  {
    name: 'changes the configuration before the change before is applied (pitfall 12)',
    file: 'change-control.ts',
    line: "if (this.isPending) return 'changePending';",
    broken: '',
    foundBy: { type: 'chaos', seedsMax: 20, violation: twoChanges },
  },
  {
    name: 'changes the configuration before it has applied an entry of its term (pitfall 12)',
    file: 'change-control.ts',
    line: 'this.#lastIndex = firstIndex;',
    broken: 'this.#lastIndex = context.log.appliedIndex;',
    foundBy: { type: 'chaos', seedsMax: 20, violation: twoChanges },
  },
  {
    name: 'campaigns by a configuration that is known to be old',
    file: 'roles.ts',
    line: 'const isCurrent = this.#log.isAllApplied &&',
    broken: 'const isCurrent =',
    foundBy: { type: 'script', name: 'change-unapplied-no-campaign', answer: '> campaign 2\n> tick 2 30\n' },
  },
  {
    name: 'asks one half of a joint configuration only',
    file: 'quorum.ts',
    line: 'return hasMajority(voters, holds) && (!isJoint(configuration) || hasMajority(votersOutgoing, holds));',
    broken: 'return hasMajority(voters, holds);',
    foundBy: { type: 'script', name: 'joint-election', answer: '> status 4\n  4 is preCandidate in term 1' },
  },
  {
    name: 'leaves a joint configuration behind (pitfall 15)',
    file: 'change-control.ts',
    line: 'return isJoint(configuration) && configuration.autoLeave',
    broken: 'return false && configuration.autoLeave',
    foundBy: { type: 'chaos', seedsMax: 100, violation: stuck },
  },
  {
    name: 'gives no hint of what is committed to those whom it refuses its vote',
    file: 'roles.ts',
    line: 'if (!granted && commit >',
    broken: 'if (!granted && Infinity < commit && commit >',
    foundBy: { type: 'chaos', seedsMax: 400, violation: stuck },
  },
  {
    name: 'appends to the log while a snapshot takes its place (pitfall 19)',
    file: 'inbox.ts',
    line: 'if (!this.#installation.isUnderWay) this.#answerAppend(request.from, takeAppend(this.#log, request));',
    broken: 'this.#answerAppend(request.from, takeAppend(this.#log, request));',
    foundBy: { type: 'chaos', seedsMax: 400, violation: /a snapshot takes committed entries back/ },
  },
  {
    name: 'falls asleep for a leader whose node is dead (pitfall 30)',
    file: 'roles.ts',
    line: 'this.#isQuiet = hasAll && this.#leader !== 0 && !this.#unreachable.has(this.#leader);',
    broken: 'this.#isQuiet = hasAll;',
    foundBy: { type: 'chaos', seedsMax: 300, violation: stuck },
  },
  {
    name: 'takes the late sync of entries that were replaced for one of those that came back (pitfall 20)',
    file: 'raft.ts',
    line: 'if (point.term !== this.term) return;',
    broken: '',
    foundBy: { type: 'lateSyncs' },
  },
];
