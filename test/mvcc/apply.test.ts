/**
 * Applying looks at nothing but the entry (pitfall 24): replicas that get the same entries have the same state at each index, whatever
 * the clock says, chance brings, their engines do with it, or where they stop and start.
 */
import { expect, it, vi } from 'vitest';
import { defined } from '../../src/base/assert.js';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, ShardId, Term, Timestamp } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { userKey } from '../../src/mvcc/keyspace.js';
import { initialIndex, StateMachine } from '../../src/mvcc/state-machine.js';
import type { Effect } from '../../src/mvcc/write-batch-format.js';
import { encodeWriteBatch } from '../../src/mvcc/write-batch-writer.js';
import { encodeDescriptor } from '../../src/shard/descriptor.js';
import { encodeEntry } from '../../src/shard/entry-format.js';
import { effectOf } from '../../src/shard/entry-effect.js';
import {
  decodeGroupDescriptor,
  encodeGroupDescriptor,
  newGroup,
  withReplicasOn,
} from '../../src/shard/group-descriptor.js';
import type { Entry } from '../../src/raft/types.js';
import { NaiveEngine } from './naive-engine.js';

const retention = { retention: 1000 };
const group = newGroup({
  shard: ShardId(1),
  start: emptyBytes,
  end: emptyBytes,
  epoch: { membership: 1, range: 1 },
  replicas: [{ replica: ReplicaId(1), node: NodeId(1) }],
});

/** Writes and deletions of few keys, changes of the group, entries for another range, and ones that change nothing. */
function entriesOf(random: Prng, count: number): Entry[] {
  let version = 1;
  let descriptor = group;
  return Array.from({ length: count }, (_, i): Entry => {
    const at = { index: LogIndex(initialIndex + 1 + i), term: Term(1) };
    const kind = random.int(0, 19);
    if (kind === 0) return { ...at, data: emptyBytes };
    if (kind === 1) {
      descriptor = withReplicasOn(descriptor, [{ node: NodeId(100 + i), storeId: `store-${i}` }]);
      return { ...at, data: encodeEntry({ type: 'changeGroup', descriptor }) };
    }
    version += random.int(1, 3000);
    const keys = random.shuffle(Array.from({ length: 12 }, (_unused, key) => key)).slice(0, random.int(1, 4));
    const effects = keys.map((key): Effect => {
      const place = { key: userKey(utf8(`key-${key}`)), version: Timestamp(version) };
      return random.chance(0.2) ? { type: 'delete', ...place } : { type: 'put', ...place, value: random.bytes(20) };
    });
    const epoch = { membership: random.int(1, 9), range: kind === 2 ? 2 : 1 };
    return { ...at, data: encodeEntry({ type: 'effects', epoch, batch: encodeWriteBatch(effects) }) };
  });
}

/** As a replica does. */
function apply(machine: StateMachine, entry: Entry): void {
  const effect = effectOf(entry, decodeGroupDescriptor(machine.descriptor));
  if (effect.type === 'changeGroup') machine.applyDescriptor(entry.index, encodeGroupDescriptor(effect.descriptor));
  else machine.apply(entry.index, effect.type === 'write' ? effect.batch : emptyBytes);
}

/** Does it while the clock and chance are out of reach. */
function withoutSurroundings(act: () => void): void {
  const outOfReach = (): never => {
    throw new Error('looked at more than the entry');
  };
  const spies = [vi.spyOn(Date, 'now'), vi.spyOn(performance, 'now'), vi.spyOn(Math, 'random')];
  for (const spy of spies) spy.mockImplementation(outOfReach);
  try {
    act();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

it.each([1, 2, 3])('entries have one effect on every replica, seed %i', async (seed) => {
  const random = new Prng(100 + seed);
  const steady = await StateMachine.create(new NaiveEngine(), encodeDescriptor(group), retention);
  let engine = new NaiveEngine(random);
  let restarted = await StateMachine.create(engine, encodeDescriptor(group), retention);
  for (const entry of entriesOf(new Prng(seed), 300)) {
    withoutSurroundings(() => {
      apply(steady, entry);
      apply(restarted, entry);
    });
    if (random.chance(0.9)) continue;
    await engine.flush();
    engine.dropReplaced();
    engine = engine.reopened();
    restarted = defined(await StateMachine.open(engine, retention), 'state');
    expect(restarted.appliedIndex).toBe(entry.index);
    expect(restarted.descriptor).toEqual(steady.descriptor);
    expect(await restarted.stateHash(), `at ${entry.index}`).toBe(await steady.stateHash());
  }
  expect(decodeGroupDescriptor(steady.descriptor).replicas.length).toBeGreaterThan(5);
});
