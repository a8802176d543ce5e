/**
 * Is there an order of these operations on one object that the model allows and real time does not contradict?
 *
 * The search of Wing and Gong (1993) with the memo of Lowe (2017), depth first and without recursion. It walks a list
 * of call and return events. Any operation whose call comes before the first return may be the next to take
 * effect: the walk tries each, lifts it out of the list if the model allows it, and starts over. At a return it must
 * stop: that operation should have taken effect by then. If none of the candidates leads on, the last choice is undone.
 *
 * Operations that never return (outcome unknown) stand in a list of their own, where they block nothing. They are
 * tried last, when the others are stuck, since most of them need not have happened to explain the history.
 */
import type { Operation } from './history.js';
import { Memo } from './memo.js';
import { impossible, type Model } from './model.js';
import { OperationSet } from './operation-set.js';

/** What the search may use. One budget may be shared by several searches: `deadline` is a time of `now`. */
export interface SearchBudget {
  readonly deadline: number;
  readonly memoEntriesMax: number;
  readonly now: () => number;
}

/** An operation, by its index in the searched array, and the state that it led to. */
export interface LinearizedStep<State> {
  readonly operation: number;
  readonly state: State;
}

export type SearchResult<State> =
  | { readonly type: 'linearizable' }
  | { readonly type: 'unknown'; readonly reason: 'time' | 'memory' }
  | {
      readonly type: 'notLinearizable';
      /** The operation that fits nowhere: no order explains all that returned up to and including it. */
      readonly stuck: number;
      /**
       * Orders that explain everything that returned before `stuck` did, one for each state in which the object can
       * then have been, longest first; at most {@link attemptsMax}.
       */
      readonly attempts: readonly (readonly LinearizedStep<State>[])[];
    };

/** How many ways to get as far as possible a failed search keeps for display. */
export const attemptsMax = 8;

const stepsBetweenClockReads = 1024;

/** The heads of the two lists; the call of operation i is node 2i + 2, its return node 2i + 3. */
const returnedHead = 0;
const pendingHead = 1;
const callNode = (operation: number): number => 2 * operation + 2;
const operationOf = (node: number): number => (node - 2) >>> 1;
const isReturn = (node: number): boolean => node > pendingHead && (node & 1) === 1;

/** A choice that the search made; the chain of parents is the order chosen so far. */
interface Choice {
  readonly parent: Choice | undefined;
  readonly depth: number;
  readonly operation: number;
  readonly stateBefore: number;
  readonly stateAfter: number;
  /** The return that stopped the walk before this choice was made among pending operations. */
  readonly blockedBy: number;
}

/** The two lists of events, circular through their heads, and the place of each event in time. */
class EventLists {
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

/** Gives each distinct state a small number. */
class StateTable<State> {
  readonly #ids = new Map<string | number, number>();
  readonly #states: State[] = [];
  readonly #identify: (state: State) => string | number;

  constructor(identify: (state: State) => string | number) {
    this.#identify = identify;
  }

  get(id: number): State {
    return this.#states[id];
  }

  intern(state: State): number {
    const identity = this.#identify(state);
    const known = this.#ids.get(identity);
    if (known !== undefined) return known;
    this.#ids.set(identity, this.#states.length);
    return this.#states.push(state) - 1;
  }
}

/** The member numbers of {@link OperationSet}: pending operations first, then the others by their return. */
function memberNumbers(
  operations: readonly Operation<unknown, unknown>[],
  rank: Int32Array,
): { readonly memberOf: Int32Array; readonly returnedCount: number } {
  const memberOf = new Int32Array(operations.length);
  const returned: number[] = [];
  let pendingCount = 0;
  operations.forEach((operation, index) => {
    if (operation.return === undefined) memberOf[index] = pendingCount++;
    else returned.push(index);
  });
  returned.sort((a, b) => rank[callNode(a) + 1] - rank[callNode(b) + 1]);
  const first = OperationSet.firstReturned(pendingCount);
  returned.forEach((operation, position) => (memberOf[operation] = first + position));
  return { memberOf, returnedCount: returned.length };
}

/** Searches an order of `operations`, all on one object. Their order in the array does not matter. */
export function searchLinearization<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  budget: SearchBudget,
): SearchResult<State> {
  const lists = new EventLists(operations);
  const { next, rank } = lists;
  const { memberOf, returnedCount } = memberNumbers(operations, rank);
  const linearized = new OperationSet({ pendingCount: operations.length - returnedCount, returnedCount });
  const memo = new Memo({ entriesMax: budget.memoEntriesMax });
  const states = new StateTable<State>((state) => model.identify(state));

  let state = states.intern(model.init());
  let choice: Choice | undefined;
  let unexplained = returnedCount;
  let node = next[returnedHead];
  let blockedBy = returnedHead;
  let furthest = returnedHead;
  const furthestByState = new Map<number, Choice | undefined>();
  let stepsToClock = 1;

  while (unexplained > 0) {
    if (--stepsToClock === 0) {
      if (budget.now() >= budget.deadline) return { type: 'unknown', reason: 'time' };
      stepsToClock = stepsBetweenClockReads;
    }

    if (isReturn(node)) {
      blockedBy = node;
      node = next[pendingHead];
      continue;
    }

    const operation = operationOf(node);
    const exhausted = node === pendingHead || (lists.isPending(operation) && rank[node] > rank[blockedBy]);
    if (exhausted) {
      if (furthest === returnedHead || rank[blockedBy] > rank[furthest]) {
        furthest = blockedBy;
        furthestByState.clear();
      }
      if (blockedBy === furthest) keepLongest(furthestByState, state, choice);
      if (choice === undefined) {
        const attempts = [...furthestByState.values()].map((last) => stepsTo(last, states));
        attempts.sort((a, b) => b.length - a.length);
        return { type: 'notLinearizable', stuck: operationOf(furthest), attempts };
      }
      linearized.remove(memberOf[choice.operation]);
      lists.putBack(choice.operation);
      if (!lists.isPending(choice.operation)) unexplained++;
      state = choice.stateBefore;
      blockedBy = choice.blockedBy;
      node = next[callNode(choice.operation)];
      choice = choice.parent;
      continue;
    }

    const { input, output } = operations[operation];
    const stepped = model.step(states.get(state), input, output);
    if (stepped !== impossible) {
      const stateAfter = states.intern(stepped);
      const pending = lists.isPending(operation);
      // A pending operation that would change nothing is left for later, or for never.
      if (!pending || stateAfter !== state) {
        linearized.add(memberOf[operation]);
        const inserted = memo.insert(linearized, stateAfter);
        if (inserted === 'full') return { type: 'unknown', reason: 'memory' };
        if (inserted === 'new') {
          const depth = choice === undefined ? 1 : choice.depth + 1;
          choice = { parent: choice, depth, operation, stateBefore: state, stateAfter, blockedBy };
          state = stateAfter;
          lists.lift(operation);
          if (!pending) unexplained--;
          node = next[returnedHead];
          continue;
        }
        linearized.remove(memberOf[operation]);
      }
    }
    node = next[node];
  }
  return { type: 'linearizable' };
}

/** Keeps the longest order for each final state, of the first {@link attemptsMax} states. */
function keepLongest(byState: Map<number, Choice | undefined>, state: number, choice: Choice | undefined): void {
  const known = byState.get(state);
  if (known === undefined ? byState.size < attemptsMax : choice !== undefined && choice.depth > known.depth) {
    byState.set(state, choice);
  }
}

function stepsTo<State>(last: Choice | undefined, states: StateTable<State>): LinearizedStep<State>[] {
  const steps: LinearizedStep<State>[] = [];
  for (let choice = last; choice !== undefined; choice = choice.parent) {
    steps.push({ operation: choice.operation, state: states.get(choice.stateAfter) });
  }
  return steps.reverse();
}
