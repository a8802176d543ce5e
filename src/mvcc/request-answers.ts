/** The answer to a request that was refused before: which conditions failed, and what they met then. */
import { QuorateError } from '../base/errors.js';
import type { Timestamp } from '../base/ids.js';
import type { MaybePromise } from '../base/promises.js';
import { conditionsFailed } from './conditions.js';
import type { EngineEntry } from './engine.js';
import type { RecordedFailure } from './failed-conditions.js';
import type { OperationResult, VersionedValue } from './operations.js';

/**
 * @param failures what the record says, or what is stored beside it
 * @param get the newest version at or below `at` of the key of the operation at `index`
 */
export function refusedAgain(
  type: 'conditionFailed' | 'conditionsFailed',
  failures: readonly RecordedFailure[],
  get: (index: number, at: Timestamp) => MaybePromise<EngineEntry | undefined>,
): MaybePromise<OperationResult> {
  const found = failures.map(({ index, metVersion }) => (metVersion === 0 ? undefined : get(index, metVersion)));
  if (!found.some((one) => one instanceof Promise)) {
    return refusal(type, failures, found as (EngineEntry | undefined)[]);
  }
  return Promise.all(found.map((one) => Promise.resolve(one))).then((entries) => refusal(type, failures, entries));
}

function refusal(
  type: 'conditionFailed' | 'conditionsFailed',
  failures: readonly RecordedFailure[],
  found: readonly (EngineEntry | undefined)[],
): OperationResult {
  const met: { readonly index: number; readonly current: VersionedValue | undefined }[] = [];
  for (let i = 0; i < failures.length; i++) {
    const { index, metVersion } = failures[i];
    const entry = found[i];
    if (metVersion > 0 && entry?.version !== metVersion) return { type: 'failed', error: noLongerKept(metVersion) };
    met.push({ index, current: entry && { version: entry.version, value: entry.value } });
  }
  return type === 'conditionFailed' ? { type, current: met[0].current } : conditionsFailed(met);
}

function noLongerKept(metVersion: Timestamp): QuorateError {
  const message = `the request was refused before; what its condition met, version ${metVersion}, is no longer kept`;
  return new QuorateError('READ_TOO_OLD', message);
}
