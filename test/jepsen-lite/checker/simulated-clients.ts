import type { Prng } from '../../../src/base/prng.js';
import type { Operation } from '../../../jepsen-lite/checker/check.js';

/** An object that answers operations one at a time, with whatever faults a test wants it to have. */
export interface SimulatedObject<Input, Output> {
  apply(key: string, input: Input): Output;
}

export interface ClientsOptions<Input, Output> {
  readonly prng: Prng;
  readonly object: SimulatedObject<Input, Output>;
  readonly nextInput: (key: string) => Input;
  readonly clients: number;
  readonly keys: number;
  readonly operations: number;
  /** How likely an answer is lost; in half of these cases the operation had taken effect. Default 0. */
  readonly unknownChance?: number;
}

/** One client at work; after a lost answer it goes on under a new name. */
interface Slot<Output> {
  client: number;
  phase: 'idle' | 'called' | 'applied';
  /** Index of its operation, unless idle. */
  current: number;
  output: Output | undefined;
}

/**
 * What concurrent clients would record of the object: each operation takes effect at a moment of its own between call and
 * return, so the history is linearizable if the object is right.
 */
export function recordClients<Input, Output>(options: ClientsOptions<Input, Output>): Operation<Input, Output>[] {
  const { prng, object, nextInput, keys, operations: count, unknownChance = 0 } = options;
  const operations: { -readonly [Field in keyof Operation<Input, Output>]: Operation<Input, Output>[Field] }[] = [];
  const slots: Slot<Output>[] = [];
  for (let client = 0; client < options.clients; client++) {
    slots.push({ client, phase: 'idle', current: -1, output: undefined });
  }
  let nextClient = options.clients;
  let busy = 0;
  for (let time = 0; operations.length < count || busy > 0; time++) {
    const slot = prng.pick(slots);
    const operation = operations[slot.current];
    if (slot.phase === 'idle') {
      if (operations.length === count) continue;
      const key = `k${prng.int(0, keys - 1)}`;
      const { client } = slot;
      slot.current = operations.length;
      slot.phase = 'called';
      operations.push({ client, key, call: time, return: undefined, input: nextInput(key), output: undefined });
      busy++;
    } else if (slot.phase === 'called') {
      const unknown = prng.chance(unknownChance);
      if (!unknown || prng.chance(0.5)) slot.output = object.apply(operation.key ?? '', operation.input);
      slot.phase = unknown ? 'idle' : 'applied';
      if (!unknown) continue;
      slot.client = nextClient++;
      busy--;
    } else {
      operation.return = time;
      operation.output = slot.output;
      slot.phase = 'idle';
      busy--;
    }
  }
  return operations;
}
