import { randomFillSync } from 'node:crypto';
import type { RequestId } from '../rpc/public-types.js';

interface Session {
  readonly id: Uint8Array;
  seq: number;
}

/**
 * Names for the writes of one client. Each shard gets a session of its own: what it remembers of requests that follow each other in
 * a session it keeps together, so that it is cheap where no other shard has those between
 * (docs/decisions/2026-11-21-cost-of-a-put.md). A write that is sent again, to whichever shard has its key by then, keeps its name.
 */
export class RequestIds {
  readonly #sessions = new Map<string, Session>();

  /** @param range names the shard, as far as the client knows */
  next(range: string): RequestId {
    let session = this.#sessions.get(range);
    if (session === undefined) {
      session = { id: randomFillSync(new Uint8Array(16)), seq: 0 };
      this.#sessions.set(range, session);
    }
    return { session: session.id, seq: ++session.seq };
  }

  /** Forgets the sessions of all other ranges. One that comes again gets a new session. */
  retain(ranges: ReadonlySet<string>): void {
    for (const range of this.#sessions.keys()) if (!ranges.has(range)) this.#sessions.delete(range);
  }
}
