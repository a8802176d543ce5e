/** Numbers of the enums in proto/kv.proto, and the names that the code uses. */
import { DecodeError } from '../base/coding.js';
import type { ErrorCode, Outcome } from '../base/errors.js';
import type { GetOperation } from '../mvcc/operations.js';
import type { NodeStage } from '../placement/node-registry.js';

export type Consistency = GetOperation['consistency'];

const consistencyNumbers: Readonly<Record<Consistency, number>> = { linearizable: 0, stale: 1 };

const outcomeNumbers: Readonly<Record<Outcome, number>> = { unknown: 0, notApplied: 1 };

const errorCodeNumbers: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 1,
  NOT_LEADER: 2,
  SHARD_UNAVAILABLE: 3,
  TIMESTAMP_UNAVAILABLE: 4,
  EPOCH_MISMATCH: 5,
  DEADLINE_EXCEEDED: 6,
  CANCELLED: 7,
  OVERLOADED: 8,
  READ_TOO_OLD: 9,
  DISK_FULL: 10,
  CORRUPTION: 11,
  NODE_STOPPING: 12,
  UNAVAILABLE: 13,
  INTERNAL: 14,
  KEYS_IN_DIFFERENT_SHARDS: 15,
  NODE_RETIRED: 16,
  NODE_REMOVED: 17,
};

const nodeStageNumbers: Readonly<Record<NodeStage, number>> = { leaving: 1, vacant: 2, joining: 3, draining: 4 };

function inverse<Name extends string>(numbers: Readonly<Record<Name, number>>): ReadonlyMap<number, Name> {
  return new Map((Object.keys(numbers) as Name[]).map((name) => [numbers[name], name]));
}

const consistencies = inverse(consistencyNumbers);
const outcomes = inverse(outcomeNumbers);
const errorCodes = inverse(errorCodeNumbers);
const nodeStages = inverse(nodeStageNumbers);

export const allErrorCodes: readonly ErrorCode[] = [...errorCodes.values()];

export function consistencyNumber(consistency: Consistency): number {
  return consistencyNumbers[consistency];
}

/** Throws DecodeError for a number that has no meaning: a read must not be answered with less than was asked for. */
export function consistencyOf(number: number): Consistency {
  const consistency = consistencies.get(number);
  if (consistency === undefined) throw new DecodeError(`unknown consistency ${number}`);
  return consistency;
}

export function outcomeNumber(outcome: Outcome): number {
  return outcomeNumbers[outcome];
}

/** An outcome that this release does not know is unknown. */
export function outcomeOf(number: number): Outcome {
  return outcomes.get(number) ?? 'unknown';
}

export function nodeStageNumber(stage: NodeStage | undefined): number {
  return stage === undefined ? 0 : nodeStageNumbers[stage];
}

/** A stage that this release does not know is none. */
export function nodeStageOf(number: number): NodeStage | undefined {
  return nodeStages.get(number);
}

export function errorCodeNumber(code: ErrorCode): number {
  return errorCodeNumbers[code];
}

/** Undefined for a code of another release. */
export function errorCodeOf(number: number): ErrorCode | undefined {
  return errorCodes.get(number);
}
