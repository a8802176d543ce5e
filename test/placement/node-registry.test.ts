import { describe, expect, test } from 'vitest';
import type { QuorateError } from '../../src/base/errors.js';
import { isGone, registration, storeFault, storeInUse } from '../../src/placement/node-registry.js';
import { removalBegin, removalEnd } from '../../src/placement/node-removal.js';
import { emptyPlacementState, type PlacementState } from '../../src/placement/placement-state.js';
import {
  after,
  facts,
  formed,
  group,
  groups,
  joining,
  leaving,
  record,
  thrown,
  three,
  vacant,
  without,
} from './registry-states.js';

const onTwo = [group(0, 1, 2, 3), group(1, 1, 2)];
const draining = after(formed, removalBegin(formed, three, facts(onTwo, { isReachable: () => true })));
const gone = after(draining, removalEnd(draining, three, without));

describe('a data directory', () => {
  const fault = (state: PlacementState, storeId: string, met?: string): QuorateError | undefined =>
    storeFault(state, { nodeId: three, storeId }, met);

  test('speaks for its node as long as it is the one that joined', () => {
    expect(fault(formed, 'store-3')).toBeUndefined();
    expect(fault(formed, 'store-new')).toMatchObject({ retryable: false });
    expect(fault(formed, 'store-new')?.message).toMatch(/lost its disk.* run `quorate node replace 3`/);
  });

  test('that came first counts until one has joined', () => {
    expect(fault(emptyPlacementState, 'store-3')).toBeUndefined();
    expect(fault(emptyPlacementState, 'store-3', 'store-3')).toBeUndefined();
    expect(fault(emptyPlacementState, 'store-new', 'store-3')).toBeDefined();
    // Which was met before says nothing of one that takes its place.
    expect(fault(vacant, 'store-new', 'store-3')).toBeUndefined();
    expect(fault(gone, 'store-new', 'store-3')).toBeUndefined();
  });

  test('that was replaced never speaks again; another only when no group counts on the old one', () => {
    const codes = [
      [leaving, 'NODE_RETIRED'],
      [vacant, 'NODE_RETIRED'],
      // Another has its place: it must not make itself a third.
      [joining, 'NODE_REMOVED'],
    ] as const;
    for (const [state, code] of codes) {
      expect(fault(state, 'store-3')?.message).toMatch(/was replaced.* out of use/);
      expect(fault(state, 'store-3')).toMatchObject({ code, retryable: false });
      expect(thrown(() => registration(state, record(3)))).toMatchObject({ code });
    }
    expect(fault(leaving, 'store-new')).toMatchObject({ retryable: true });
    expect(thrown(() => registration(leaving, record(3, 'store-new')))).toMatchObject({ retryable: true });
    expect(fault(vacant, 'store-new')).toBeUndefined();
    expect(fault(joining, 'store-new')).toBeUndefined();
    expect(fault(joining, 'store-other')).toMatchObject({ retryable: false });
  });

  test('of a node that is removed speaks for it until the node is gone; then another may join anew', () => {
    expect(fault(draining, 'store-3')).toBeUndefined();
    expect(fault(draining, 'store-new')).toMatchObject({ retryable: false });
    expect(fault(gone, 'store-3')).toMatchObject({ code: 'NODE_REMOVED' });
    expect(fault(gone, 'store-3')?.message).toMatch(/was removed from the cluster/);
    expect(fault(gone, 'store-new')).toBeUndefined();
    const again = after(gone, registration(gone, record(3, 'store-new')));
    expect([isGone(gone, three), isGone(again, three)]).toEqual([true, false]);
    // Of a vacant node nothing may come while it is removed.
    const removed = after(vacant, removalBegin(vacant, three, facts([group(0, 1, 2), group(5, 1, 2)])));
    expect(fault(removed, 'store-new')).toMatchObject({ retryable: true });
  });

  test('gets new replicas only while its node is in service', () => {
    const states = [formed, leaving, vacant, joining, draining, gone];
    expect(states.map((state) => storeInUse(state, three))).toEqual([
      'store-3',
      undefined,
      undefined,
      'store-new',
      undefined,
      undefined,
    ]);
    expect(groups).toHaveLength(3);
  });
});
