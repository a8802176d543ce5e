import { impossible, type Model } from '../model.js';

export type SetInput =
  | { readonly type: 'add'; readonly element: string }
  | { readonly type: 'remove'; readonly element: string }
  | { readonly type: 'contains'; readonly element: string }
  | { readonly type: 'readAll' };

export type SetOutput =
  /** An add or a remove took effect; `changed` says whether the element was absent (add) or there (remove) before. */
  | { readonly type: 'done'; readonly changed?: boolean }
  | { readonly type: 'contains'; readonly found: boolean }
  /** All elements, in any order. */
  | { readonly type: 'elements'; readonly elements: readonly string[] };

/** Sorted and distinct. */
export type SetState = readonly string[];

/** The first position whose element is not below `element`. */
function positionOf(state: SetState, element: string): number {
  let low = 0;
  let high = state.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (state[middle] < element) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sameElements(state: SetState, elements: readonly string[]): boolean {
  if (elements.length !== state.length) return false;
  const sorted = [...elements].sort(byCodeUnits);
  return sorted.every((element, position) => element === state[position]);
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function step(state: SetState, input: SetInput, output: SetOutput | undefined): SetState | typeof impossible {
  if (input.type === 'readAll') {
    if (output === undefined) return state;
    return output.type === 'elements' && sameElements(state, output.elements) ? state : impossible;
  }
  const position = positionOf(state, input.element);
  const found = state[position] === input.element;
  if (input.type === 'contains') {
    if (output === undefined) return state;
    return output.type === 'contains' && output.found === found ? state : impossible;
  }
  const changes = input.type === 'add' ? !found : found;
  if (output !== undefined) {
    if (output.type !== 'done') return impossible;
    if (output.changed !== undefined && output.changed !== changes) return impossible;
  }
  if (!changes) return state;
  return input.type === 'add' ? state.toSpliced(position, 0, input.element) : state.toSpliced(position, 1);
}

const describeElements = (elements: readonly string[]): string => `{${elements.join(', ')}}`;

function describeOutput(output: SetOutput): string {
  switch (output.type) {
    case 'done':
      return output.changed === false ? 'no change' : 'ok';
    case 'contains':
      return output.found ? 'yes' : 'no';
    case 'elements':
      return describeElements(output.elements);
  }
}

/** A set of strings, empty at first. A step costs as much as the set is large: meant for sets of up to thousands. */
export const setModel: Model<SetState, SetInput, SetOutput> = {
  name: 'set',
  init: () => [],
  step,
  identify: (state) => state.map((element) => `${element.length}:${element}`).join(''),
  identifyInput: (input) => JSON.stringify(input),
  isRead: (input) => input.type === 'contains' || input.type === 'readAll',
  describeOperation: (input, output) =>
    `${input.type === 'readAll' ? 'read all' : `${input.type} ${JSON.stringify(input.element)}`} → ` +
    (output === undefined ? '?' : describeOutput(output)),
  describeState: describeElements,
};
