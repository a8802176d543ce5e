/**
 * An idle group becomes quiet: nobody ticks, nothing is sent. Its leader asks for that with its heartbeats when there
 * has been nothing to do for a while, goes on asking until every follower that it can reach has agreed, and then
 * sends no more. A follower agrees if it has all that is committed.
 *
 * Safety does not rest on it: a quiet leader that was replaced finds out when it has something to do, as any leader
 * does, and one replica that is awake by mistake wakes the others by campaigning. That a quiet follower learns of its
 * leader's death is up to the host, which watches nodes: `Raft.peerUnreachable` (pitfall 30).
 */
import type { ReplicaId } from '../base/ids.js';
import { isJoint } from './config.js';
import { hasQuorum } from './quorum.js';
import type { LeaderContext, Replication } from './replication.js';

export class Quiescence {
  readonly #context: LeaderContext;
  readonly #replication: Replication;
  #idleTicks = 0;
  /** Who has agreed since the leader was awake last. */
  readonly #quietFollowers = new Set<ReplicaId>();
  #isQuiet = false;

  constructor(context: LeaderContext, replication: Replication) {
    this.#context = context;
    this.#replication = replication;
  }

  get isQuiet(): boolean {
    return this.#isQuiet;
  }

  /** Whether heartbeats ask the followers to become quiet. */
  get isAsking(): boolean {
    const { quiesceTicks } = this.#context.options;
    return quiesceTicks > 0 && this.#idleTicks >= quiesceTicks;
  }

  /** There is something to do. Returns whether the leader was quiet. */
  wake(): boolean {
    const wasQuiet = this.#isQuiet;
    this.#idleTicks = 0;
    this.#quietFollowers.clear();
    this.#isQuiet = false;
    return wasQuiet;
  }

  tick(): void {
    if (this.#context.options.quiesceTicks === 0) return;
    if (this.#isIdle()) {
      this.#idleTicks++;
      this.#becomeQuietIfAllAgree();
    } else {
      this.wake();
    }
  }

  agreed(follower: ReplicaId): void {
    if (!this.isAsking) return;
    this.#quietFollowers.add(follower);
    this.#becomeQuietIfAllAgree();
  }

  #becomeQuietIfAllAgree(): void {
    if (!this.isAsking) return;
    for (const [member, progress] of this.#replication.followers) {
      if (progress.isReachable && !this.#quietFollowers.has(member)) return;
    }
    for (const progress of this.#replication.followers.values()) if (!progress.isReachable) progress.leftBehind();
    this.#isQuiet = true;
  }

  /** All that was proposed is committed, applied and with everybody who can be reached, and these are a quorum. */
  #isIdle(): boolean {
    const { log, membership, options } = this.#context;
    const { followers } = this.#replication;
    if (isJoint(membership.configuration) || log.appliedIndex !== log.lastIndex) return false;
    for (const progress of followers.values()) {
      if (progress.isReachable && progress.matchIndex !== log.lastIndex) return false;
    }
    const isHere = (replica: ReplicaId): boolean =>
      replica === options.self || followers.get(replica)?.isReachable === true;
    return hasQuorum(membership.configuration, isHere);
  }
}
