import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { initialIndex, StateMachine } from '../../src/mvcc/state-machine.js';
import { NaiveEngine } from './naive-engine.js';
import { RandomLeader, retention } from './random-leader.js';

const steps = 200;

describe('evaluator and state machine against a sequential model', () => {
  it.each(Array.from({ length: 24 }, (_, i) => i + 1))('seed %i', async (seed) => {
    const random = new Prng(seed);
    const engine = new NaiveEngine(random.split('reads'));
    const machine = await StateMachine.create(engine, utf8('descriptor'), { retention });
    const leader = new RandomLeader(random.split('steps'), engine, machine);
    for (let step = 0; step < steps; step++) {
      await leader.step();
      if (random.chance(0.1)) await engine.flush();
      if (random.chance(0.1)) engine.dropReplaced();
    }
    await leader.finish();
    expect(leader.forgotten).toBeGreaterThan(10);
    expect(leader.retried).toBeGreaterThan(10);
    expect(leader.refusedStill).toBeGreaterThan(2);

    const follower = await StateMachine.create(new NaiveEngine(), utf8('descriptor'), { retention });
    leader.entries.forEach((entry, i) => follower.apply(LogIndex(initialIndex + 1 + i), entry));
    expect(await follower.stateHash()).toBe(await machine.stateHash());
  });
});
