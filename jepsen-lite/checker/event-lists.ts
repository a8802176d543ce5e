import type { Operation } from './history.js';

/** The heads of the two lists; the call of operation i is node 2i + 2, its return node 2i + 3. */
export const returnedHead = 0;
export const pendingHead = 1;
export const callNode = (operation: number): number => 2 * operation + 2;
export const operationOf = (node: number): number => (node - 2) >>> 1;
export const isReturn = (node: number): boolean => node > pendingHead && (node & 1) === 1;

/** The two lists of events, circular through their heads, and the place of each event in time. */
export class EventLists {
  readonly next: Int32Array;
  readonly rank: Int32Array;
  readonly #previous: Int32Array;
  readonly #pending: Uint8Array;

  constructor(operations: readonly Operation<unknown, unknown>[]) {
    const nodes: number[] = [];
    for (let operation = 0; operation < operations.length; operation++) {
      nodes.push(callNode(operation));
      if (operations[operation].return !== undefined) nodes.push(callNode(operation) + 1);
    }
    const times = new Float64Array(2 * operations.length + 2);
    for (const node of nodes) {
      const operation = operations[operationOf(node)];
      times[node] = isReturn(node) ? (operation.return ?? Infinity) : operation.call;
    }
    // At equal times calls come first: operations that touch in time are concurrent.
    nodes.sort((a, b) => times[a] - times[b] || Number(isReturn(a)) - Number(isReturn(b)) || a - b);

    this.next = new Int32Array(times.length);
    this.rank = new Int32Array(times.length);
    this.#previous = new Int32Array(times.length);
    this.#pending = Uint8Array.from(operations, (operation) => Number(operation.return === undefined));
    const last = [returnedHead, pendingHead];
    nodes.forEach((node, rank) => {
      const head = this.#pending[operationOf(node)] === 1 ? pendingHead : returnedHead;
      this.rank[node] = rank;
      this.#link(last[head], node);
      last[head] = node;
    });
    for (const head of [returnedHead, pendingHead]) this.#link(last[head], head);
  }

  isPending(operation: number): boolean {
    return this.#pending[operation] === 1;
  }

  /** Takes the events of `operation` out of its list; they keep their own links for {@link putBack}. */
  lift(operation: number): void {
    const call = callNode(operation);
    this.#link(this.#previous[call], this.next[call]);
    if (!this.isPending(operation)) this.#link(this.#previous[call + 1], this.next[call + 1]);
  }

  /** Undoes {@link lift}; the last lifted must be put back first. */
  putBack(operation: number): void {
    const call = callNode(operation);
    if (!this.isPending(operation)) this.#relink(call + 1);
    this.#relink(call);
  }

  #relink(node: number): void {
    this.next[this.#previous[node]] = node;
    this.#previous[this.next[node]] = node;
  }

  #link(before: number, after: number): void {
    this.next[before] = after;
    this.#previous[after] = before;
  }
}
