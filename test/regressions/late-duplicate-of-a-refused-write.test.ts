/**
 * A conditional write was sent twice with one request id. The second attempt overtook the first and was refused, which
 * left no record; then the condition became true, the first attempt came, and took effect although the client had been
 * told that it was refused. The same with a delete that found nothing. Found by seed 2132 of the simulator.
 */
import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.js';
import type { Operation, OperationResult } from '../../src/mvcc/operations.js';
import { Scenario } from '../sim/scenario.js';

const heldMs: [number, number] = [400, 400];

/** What the attempt that came late was told, and what the key has then. */
async function sendTwice(
  scenario: Scenario,
  operation: Operation,
  told: OperationResult,
): Promise<{ late: OperationResult; value: string | undefined }> {
  const leader = scenario.leaderOf();
  // Not the node that answers the leader's requests for timestamps: those would be late as well.
  const [other] = scenario.others(leader).filter((id) => id !== scenario.placementLeader);
  scenario.cluster.network.setLink(scenario.machine(other).name, scenario.machine(leader).name, { delayMs: heldMs });
  const late = scenario.call(other, operation);
  expect(await scenario.answer(scenario.call(leader, operation))).toEqual(told);
  await scenario.written(scenario.put(leader, 'k', 'new'));
  expect(late.result, 'the first attempt was not late').toBeUndefined();
  return { late: await scenario.answer(late), value: await scenario.value(scenario.get(leader, 'k')) };
}

test.each([
  ['an absent key', undefined],
  ['a value', 'old'],
])('a write that was refused because of %s has no effect later', async (_, old) => {
  const scenario = await Scenario.formed({ seed: 65 });
  const leader = scenario.leaderOf();
  const version = old === undefined ? undefined : await scenario.written(scenario.put(leader, 'k', old));
  const operation: Operation = {
    type: 'put',
    key: utf8('k'),
    value: utf8('late'),
    condition: { type: 'valueEquals', value: utf8('new') },
    requestId: scenario.newRequestId(),
  };
  const current = old === undefined || version === undefined ? undefined : { version, value: utf8(old) };
  const refused: OperationResult = { type: 'conditionFailed', current };
  expect(await sendTwice(scenario, operation, refused)).toEqual({ late: refused, value: 'new' });
});

test('a delete that found nothing deletes nothing later', async () => {
  const scenario = await Scenario.formed({ seed: 66 });
  const operation: Operation = {
    type: 'delete',
    key: utf8('k'),
    condition: { type: 'none' },
    requestId: scenario.newRequestId(),
  };
  const nothing: OperationResult = { type: 'nothingDeleted' };
  expect(await sendTwice(scenario, operation, nothing)).toEqual({ late: nothing, value: 'new' });
});
