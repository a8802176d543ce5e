import { deferred } from '../base/promises.js';
import type { LogIndex, Term } from '../base/ids.js';
import type { Entry, HardState } from '../raft/types.js';
import type { TruncationType } from './record.js';
import type { EntriesUnderWay, GroupState } from './group-state.js';
import type { BatchEncoder, BatchPlace, PlacedEntries } from './segment-writer.js';

/** Records that are written in the order in which they were asked for. */
type Operation =
  | { readonly type: 'entries'; readonly group: GroupState; readonly append: EntriesUnderWay }
  | { readonly type: TruncationType; readonly group: GroupState; readonly index: LogIndex; readonly term: Term }
  | { readonly type: 'dropGroup'; readonly group: GroupState }
  | { readonly type: 'firstSegment'; readonly segment: number };

/** Of a record with its header and numbers, about; and of an entry in it. */
const recordOverheadBytes = 48;
const entryOverheadBytes = 8;

/** What a record of these takes on disk, about. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = recordOverheadBytes;
  for (const { data } of entries) bytes += data.length + entryOverheadBytes;
  return bytes;
}

/**
 * What becomes durable together, by one write. Collects until it is its turn; then `encode`, and when it is
 * durable `applyDurable`.
 *
 * A batch is atomic on disk, so the order of its hard states among the rest does not matter, and of each group only
 * the newest is written.
 */
export class Batch {
  /** Resolves when the batch is durable. Handled here already: not everybody waits for it. */
  readonly durable = deferred<void>();
  /** Somebody waits: the batch is written as soon as it can be, and not only with the next that must be. */
  isWanted = false;
  #bytes = 0;
  readonly #operations: Operation[] = [];
  readonly #hardStates = new Map<GroupState, HardState>();
  #encodedEntries: PlacedEntries[][] = [];

  constructor() {
    this.durable.promise.catch(() => undefined);
  }

  /** Size on disk, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0 && this.#hardStates.size === 0;
  }

  addEntries(group: GroupState, append: EntriesUnderWay): void {
    this.#bytes += entriesBytes(append.entries);
    this.#operations.push({ type: 'entries', group, append });
  }

  addHardState(group: GroupState, hardState: HardState): void {
    if (!this.#hardStates.has(group)) this.#bytes += recordOverheadBytes;
    this.#hardStates.set(group, hardState);
  }

  /** Records where the group's log begins. */
  addTruncation(group: GroupState, type: TruncationType): void {
    this.#bytes += recordOverheadBytes;
    this.#operations.push({ type, group, ...group.dropped });
  }

  /** Records that nothing before counts. Hard states come last in a batch: one that is to be forgotten is not written. */
  addDropGroup(group: GroupState): void {
    this.#bytes += recordOverheadBytes;
    this.#hardStates.delete(group);
    this.#operations.push({ type: 'dropGroup', group });
  }

  addFirstSegment(segment: number): void {
    this.#bytes += recordOverheadBytes;
    this.#operations.push({ type: 'firstSegment', segment });
  }

  /** The bytes of the batch, valid until the encoder is used again. */
  encode(encoder: BatchEncoder, place: BatchPlace): Uint8Array {
    encoder.begin(place);
    this.#encodedEntries = [];
    for (const operation of this.#operations) {
      switch (operation.type) {
        case 'entries':
          this.#encodedEntries.push(
            encoder.entries(operation.append.type, operation.group.id, operation.append.entries),
          );
          break;
        case 'truncatePrefix':
        case 'reset': {
          const { type, group, index, term } = operation;
          encoder.truncation({ type, shard: group.id, index, term });
          break;
        }
        case 'dropGroup':
          encoder.dropGroup(operation.group.id);
          break;
        case 'firstSegment':
          encoder.firstSegment(operation.segment);
          break;
      }
    }
    for (const [group, hardState] of this.#hardStates) encoder.hardState(group.id, hardState);
    return encoder.finish();
  }

  /** Tells the groups where their records lie. */
  applyDurable(segment: number): void {
    let next = 0;
    for (const operation of this.#operations) {
      if (operation.type === 'entries') {
        operation.group.entriesDurable(operation.append, this.#encodedEntries[next++]);
      } else if (operation.type === 'truncatePrefix' || operation.type === 'reset') {
        operation.group.truncationSegment = segment;
      }
    }
    for (const group of this.#hardStates.keys()) group.hardStateSegment = segment;
  }
}
