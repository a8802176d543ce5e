import type { QuorateError } from '../../base/errors.js';
import type { PeerResponse } from '../../rpc/peer-messages.js';

interface OpenRequest {
  readonly deadlineMs: number;
  readonly resolve: (response: PeerResponse) => void;
  readonly reject: (error: QuorateError) => void;
}

/** Requests that were sent on one connection and not answered, by id. Each ends once. */
export class OpenRequests {
  readonly #requests = new Map<number, OpenRequest>();

  get size(): number {
    return this.#requests.size;
  }

  add(id: number, deadlineMs: number): Promise<PeerResponse> {
    return new Promise((resolve, reject) => this.#requests.set(id, { deadlineMs, resolve, reject }));
  }

  /** No effect where the request has ended: a late answer is nobody's. */
  answer(id: number, response: PeerResponse): void {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    request?.resolve(response);
  }

  /** Ends those whose deadline has passed. */
  expire(nowMs: number, error: () => QuorateError): void {
    for (const [id, request] of this.#requests) {
      if (request.deadlineMs > nowMs) continue;
      this.#requests.delete(id);
      request.reject(error());
    }
  }

  fail(error: QuorateError): void {
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of requests) request.reject(error);
  }
}
