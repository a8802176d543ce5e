/**
 * Is there an order of these operations on one object that the model allows and real time does not contradict?
 *
 * The search of Wing and Gong (1993) with the memo of Lowe (2017), depth first and without recursion. It walks a list
 * of call and return events. Any operation whose call comes before the first return may be the next to take
 * effect: the walk tries each, lifts it out of the list if the model allows it, and starts over. At a return it must
 * stop: that operation should have taken effect by then. If none of the candidates leads on, the last choice is undone.
 *
 * Operations that never return (outcome unknown) stand in a list of their own, where they block nothing. They are
 * tried last, when the others are stuck, since most of them need not have happened to explain the history. Of several
 * that ask for the same, the one called first takes effect first: whatever order explains the history otherwise, does
 * so with the two exchanged.
 */
import { callNode, EventLists, isReturn, operationOf, pendingHead, returnedHead } from './event-lists.js';
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

/** A choice that the search made; the chain of parents is the order chosen so far. */
interface Choice {
  readonly parent: Choice | undefined;
  readonly depth: number;
  readonly operation: number;
  readonly stateBefore: number;
  readonly stateAfter: number;
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

/** For each operation that never returns the one before it, by call, that asks for the same; -1 for none. */
function earlierTwins<Input>(
  operations: readonly Operation<Input, unknown>[],
  identifyInput: (input: Input) => string | number,
): Int32Array {
  const twins = new Int32Array(operations.length).fill(-1);
  const last = new Map<string | number, number>();
  const byCall = [...operations.keys()].filter((index) => operations[index].return === undefined);
  byCall.sort((a, b) => operations[a].call - operations[b].call || a - b);
  for (const index of byCall) {
    const identity = identifyInput(operations[index].input);
    twins[index] = last.get(identity) ?? -1;
    last.set(identity, index);
  }
  return twins;
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
  const twins = earlierTwins(operations, (input) => model.identifyInput(input));
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
      // If the choice was a pending operation, `blockedBy` still is the return that the walk had met before it: lifting
      // a pending operation moves no return. Otherwise the walk goes on to meet a return anew.
      node = next[callNode(choice.operation)];
      choice = choice.parent;
      continue;
    }

    const { input, output } = operations[operation];
    const twin = twins[operation];
    const isTurn = twin < 0 || linearized.has(memberOf[twin]);
    const stepped = isTurn ? model.step(states.get(state), input, output) : impossible;
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
          choice = { parent: choice, depth, operation, stateBefore: state, stateAfter };
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
