/** Messages on their way out: those that leave at once, and those that rely on something that must be durable first. */
import type { Membership } from './membership.js';
import type { RaftMessage } from './types.js';

export class Outbox {
  readonly #membership: Pick<Membership, 'otherMembers'>;
  readonly #appendsInFlightMax: number;
  #atOnce: RaftMessage[] = [];
  #afterSync: RaftMessage[] = [];

  constructor(membership: Pick<Membership, 'otherMembers'>, appendsInFlightMax: number) {
    this.#membership = membership;
    this.#appendsInFlightMax = appendsInFlightMax;
  }

  /**
   * As many messages wait for a sync as others send without waiting for the answers. More come only when the disk stalls; then
   * the oldest are dropped, which the protocol bears like any loss.
   */
  get #afterSyncMax(): number {
    return this.#appendsInFlightMax * (this.#membership.otherMembers.length + 1);
  }

  get hasAtOnce(): boolean {
    return this.#atOnce.length > 0;
  }

  get hasAfterSync(): boolean {
    return this.#afterSync.length > 0;
  }

  send(message: RaftMessage): void {
    this.#atOnce.push(message);
  }

  sendAfterSync(message: RaftMessage): void {
    const last = this.#afterSync.at(-1);
    if (last !== undefined) {
      if (isCoveredBy(last, message)) this.#afterSync.pop();
      else if (this.#afterSync.length >= this.#afterSyncMax) this.#afterSync.shift();
    }
    this.#afterSync.push(message);
  }

  takeAtOnce(): readonly RaftMessage[] {
    const messages = this.#atOnce;
    this.#atOnce = [];
    return messages;
  }

  takeAfterSync(): readonly RaftMessage[] {
    const messages = this.#afterSync;
    this.#afterSync = [];
    return messages;
  }

  /** Nothing to make durable is under way: what waited may leave. */
  release(): void {
    for (const message of this.#afterSync) this.#atOnce.push(message);
    this.#afterSync = [];
  }
}

/** Acknowledgements are cumulative: of several to one leader in one term the highest says it all. */
function isCoveredBy(earlier: RaftMessage, later: RaftMessage): boolean {
  return (
    earlier.type === 'appendResponse' &&
    later.type === 'appendResponse' &&
    !earlier.rejected &&
    !later.rejected &&
    earlier.to === later.to &&
    earlier.term === later.term &&
    earlier.logIndex <= later.logIndex
  );
}
