/** How commands fail: exit statuses, and the one line that says why. */
import { QuorateError, type ErrorCode } from '../base/errors.js';

/** `get` found nothing, or a condition did not hold. */
export const exitNegative = 1;
/** The command could not be carried out, or was used wrongly. */
export const exitFailed = 2;

/** A command cannot go on, for a reason that the message tells completely. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

/** The way out for who has damaged files. */
export const damageHint = 'see "Damaged files" in docs/operations.md';

const hints: Readonly<Partial<Record<ErrorCode, string>>> = {
  UNAVAILABLE: 'is a node running there? `quorate dev` starts three; --endpoints names others',
  SHARD_UNAVAILABLE: "a majority of the shard's nodes must be up: see `quorate status`",
  TIMESTAMP_UNAVAILABLE: 'a majority of the nodes must be up: see `quorate status`',
  DEADLINE_EXCEEDED: '--timeout allows more time',
  OVERLOADED: 'try again later',
  NODE_STOPPING: 'try again, another node takes over',
  DISK_FULL: 'free space on the nodes; reads go on meanwhile',
  CORRUPTION: damageHint,
  INTERNAL: "this is a bug; the node's log has more",
};
const unknownOutcomeHint = 'it may have taken effect: read before you write again';

/** What is to be said about `error`, without a line feed. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof QuorateError)) return oneLine(error instanceof Error ? error.message : String(error));
  const notes = [`outcome: ${error.outcome === 'notApplied' ? 'not applied' : 'unknown'}`];
  if (error.shard !== undefined) notes.push(`shard ${error.shard}`);
  if (error.retryAfterMs !== undefined) notes.push(`retry after ${error.retryAfterMs} ms`);
  const hint = error.outcome === 'unknown' ? unknownOutcomeHint : hints[error.code];
  if (hint !== undefined) notes.push(hint);
  return `${error.code}: ${oneLine(error.message)} (${notes.join('; ')})`;
}

/** The same for machines. */
export function failureToJson(error: unknown): Record<string, unknown> {
  if (!(error instanceof QuorateError)) return { error: { message: describeFailure(error) } };
  const { code, message, outcome, shard, retryable, retryAfterMs } = error;
  return { error: { code, message, outcome, shard, retryable, retryAfterMs } };
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
