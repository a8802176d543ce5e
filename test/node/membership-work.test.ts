import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { NodeId } from '../../src/base/ids.js';
import { silentLogger } from '../../src/env/logger.js';
import { MembershipWork, type MembershipWorkOptions } from '../../src/node/membership-work.js';
import { leaving, seated, withShards } from '../placement/registry-states.js';

test('a step that is done waits for a tick until the next, in case it has changed nothing: it is no loop without end', async () => {
  let left = 0;
  let decisions = 0;
  const work = new MembershipWork({
    nodeId: NodeId(1),
    logger: silentLogger,
    group: {
      state: withShards(leaving, [1, 2]),
      replica: { isReadyLeader: true, descriptor: seated([1, 2]) },
      // Changes nothing, at once; a loop ends by itself here.
      decide: () => (++decisions < 50 ? Promise.resolve() : new Promise(() => undefined)),
    } as unknown as MembershipWorkOptions['group'],
    changes: { changeMember: () => Promise.resolve(void left++) },
    seats: 2,
    isReachable: () => true,
    onFailure: (error) => expect.unreachable(String(error)),
  });
  for (let tick = 0; tick < 10; tick++) work.tick();
  await setImmediate();
  expect([left, decisions]).toEqual([2, 0]);
  for (let tick = 1; tick <= 3; tick++) {
    work.tick();
    await setImmediate();
    expect(decisions).toBe(tick);
  }
});
