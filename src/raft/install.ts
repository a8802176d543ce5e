/**
 * A follower's side of Raft snapshots: whether one is worth installing, and the one that is being installed.
 *
 * Invariant: while the host installs one, nothing else changes log or state machine: appends and other snapshots are
 * ignored, and nothing is applied. So what is put in place is newer than what it replaces, whatever came meanwhile.
 */
import { assert, defined } from '../base/assert.js';
import type { RaftLog } from './raft-log.js';
import type { RaftSnapshot, SnapshotRequest } from './types.js';

/**
 * - `known`: all that it holds is committed here.
 * - `matches`: the log has its last entry, and so all before; that they are committed is the news.
 * - `install`: it takes the place of log and state machine.
 */
export type SnapshotVerdict = 'known' | 'matches' | 'install';

export function judgeSnapshot(log: RaftLog, { index, term }: RaftSnapshot): SnapshotVerdict {
  if (index <= log.commitIndex) return 'known';
  return log.term(index) === term ? 'matches' : 'install';
}

export class Installation {
  #request: SnapshotRequest | undefined;
  #isHandedOver = false;

  get isUnderWay(): boolean {
    return this.#request !== undefined;
  }

  begin(request: SnapshotRequest): void {
    assert(this.#request === undefined, 'a snapshot is being installed already');
    this.#request = request;
    this.#isHandedOver = false;
  }

  /** Whether {@link handOver} has something for the host. */
  get isDue(): boolean {
    return this.#request !== undefined && !this.#isHandedOver;
  }

  handOver(): RaftSnapshot | undefined {
    if (!this.isDue) return undefined;
    this.#isHandedOver = true;
    return this.#request?.snapshot;
  }

  /** The host has put it in place, or given up. */
  end(): SnapshotRequest {
    const request = defined(this.#request, 'the snapshot that is being installed');
    assert(this.#isHandedOver, 'a snapshot was installed that was never handed over');
    this.#request = undefined;
    return request;
  }
}
