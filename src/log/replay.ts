import type { ShardId } from '../base/ids.js';
import type { CacheMeter } from './entry-cache.js';
import { GroupState } from './group-state.js';
import type { SegmentSet } from './segment-set.js';
import type { PlacedRecord } from './segment-reader.js';

/** What the records of a log say when they are applied in order. No I/O. */
export class Replay {
  readonly segments: SegmentSet;
  readonly groups = new Map<ShardId, GroupState>();
  /** Segments before this one may be gone. */
  firstSegment = 1;
  readonly #meter: CacheMeter;

  /** @param segments all that will be replayed; they count what is live in them */
  constructor(segments: SegmentSet, meter: CacheMeter) {
    this.segments = segments;
    this.#meter = meter;
  }

  /** False when the record contradicts what came before it. */
  apply({ record, place }: PlacedRecord): boolean {
    switch (record.type) {
      case 'entries':
        return this.#group(record.shard).replayEntries(record.entries, place);
      case 'rewritten':
        return this.#group(record.shard).replayRewritten(record.entries, place);
      case 'hardState':
        this.#group(record.shard).replayHardState(record.hardState, place.segment);
        return true;
      case 'truncatePrefix':
      case 'reset':
        this.#group(record.shard).replayTruncation(record, place.segment);
        return true;
      case 'dropGroup':
        this.#group(record.shard).discard();
        this.groups.delete(record.shard);
        return true;
      case 'firstSegment':
        this.firstSegment = Math.max(this.firstSegment, record.segment);
        return record.segment <= place.segment;
    }
  }

  #group(id: ShardId): GroupState {
    let group = this.groups.get(id);
    if (group === undefined) {
      group = new GroupState(id, this.segments, this.#meter);
      this.groups.set(id, group);
    }
    return group;
  }
}
