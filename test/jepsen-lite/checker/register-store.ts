import type { RegisterInput, RegisterOutput, RegisterValue } from '../../../jepsen-lite/checker/check.js';
import type { Prng } from '../../../src/base/prng.js';
import type { SimulatedObject } from './simulated-clients.js';

/** A right implementation of many registers; tests derive wrong ones from it. */
export class RegisterStore implements SimulatedObject<RegisterInput, RegisterOutput> {
  readonly values = new Map<string, RegisterValue>();

  apply(key: string, input: RegisterInput): RegisterOutput {
    const current = this.values.get(key) ?? null;
    switch (input.type) {
      case 'read':
        return { type: 'value', value: current };
      case 'write':
        this.values.set(key, input.value);
        return { type: 'done' };
      case 'delete':
        this.values.set(key, null);
        return current === null ? { type: 'nothingDeleted' } : { type: 'done' };
      case 'cas':
        if (current !== input.expected) return { type: 'refused', current };
        this.values.set(key, input.value);
        return { type: 'done' };
    }
  }
}

/** Draws operations with distinct written values; a compare-and-set expects one of the last values of its key. */
export function registerInputs(prng: Prng): (key: string) => RegisterInput {
  const lastValues = new Map<string, RegisterValue>();
  let written = 0;
  return (key) => {
    const kind = prng.int(0, 9);
    if (kind < 5) return { type: 'read' };
    if (kind === 9 && prng.chance(0.3)) {
      lastValues.set(key, null);
      return { type: 'delete' };
    }
    const value = `v${written++}`;
    const expected = lastValues.get(key) ?? null;
    lastValues.set(key, value);
    return kind < 8 ? { type: 'write', value } : { type: 'cas', expected, value };
  };
}
