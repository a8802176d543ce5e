import { assert } from '../base/assert.js';
import { copyBytes } from '../base/bytes.js';
import { DecodeError } from '../base/coding.js';
import { CorruptionError } from '../base/errors.js';
import type { Entry } from '../raft/types.js';
import type { EntriesPlace } from './entry-places.js';
import type { SegmentSet } from './segment-set.js';
import { readRecord } from './segment-reader.js';

/** Records of one segment that lie close together are fetched with one read of at most about this much. */
const windowBytesMax = 1024 * 1024;
/** Bytes of others between two records that are read along rather than read around. */
const gapBytesMax = 32 * 1024;

interface Window {
  readonly segment: number;
  readonly offset: number;
  readonly places: readonly EntriesPlace[];
  end: number;
}

/** Reads of the disk that fetch all `places`, which lie in the order of the log, and so mostly of the files. */
export function planWindows(places: readonly EntriesPlace[]): readonly Window[] {
  const windows: (Window & { places: EntriesPlace[] })[] = [];
  for (const place of places) {
    const end = place.offset + place.bytes;
    const window = windows.at(-1);
    if (
      window?.segment === place.segment &&
      place.offset >= window.end &&
      place.offset - window.end <= gapBytesMax &&
      end - window.offset <= windowBytesMax
    ) {
      window.places.push(place);
      window.end = end;
    } else {
      windows.push({ segment: place.segment, offset: place.offset, end, places: [place] });
    }
  }
  return windows;
}

/**
 * The wanted entries of `places`, cut after `bytesMax` bytes of data but never below one; owned by the caller.
 * Throws {@link CorruptionError}. The segments stay open until it is done, though they may be dropped meanwhile.
 */
export async function readEntries(
  segments: SegmentSet,
  places: readonly EntriesPlace[],
  bytesMax: number,
): Promise<Entry[]> {
  const windows = planWindows(places).map((window) => {
    const file = segments.get(window.segment);
    return { ...window, file, done: file.retainForRead() };
  });
  const entries: Entry[] = [];
  let bytes = 0;
  try {
    for (const window of windows) {
      const content = await window.file.read(window.offset, window.end - window.offset);
      for (const place of window.places) {
        for (const entry of entriesAt(content, window.offset, place, window.file.path)) {
          bytes += entry.data.length;
          if (entries.length > 0 && bytes > bytesMax) return entries;
          entries.push({ index: entry.index, term: entry.term, data: copyBytes(entry.data) });
        }
      }
    }
    return entries;
  } finally {
    for (const window of windows) window.done();
  }
}

function entriesAt(content: Uint8Array, windowOffset: number, place: EntriesPlace, path: string): readonly Entry[] {
  try {
    const { record } = readRecord(content, { segment: place.segment, offset: place.offset, windowOffset });
    assert('entries' in record, `${path} has a record of type ${record.type} at ${place.offset}`);
    const from = place.first - record.entries[0].index;
    const to = place.last - record.entries[0].index;
    assert(from >= 0 && to < record.entries.length, `${path} has other entries at ${place.offset}`);
    return record.entries.slice(from, to + 1);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CorruptionError(path, place.offset, error.message, error);
  }
}
