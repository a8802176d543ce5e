import { compareBytes, keySuccessor } from '../base/bytes.js';
import type { ScanPage } from '../rpc/backend.js';
import type { ScanQuery } from '../rpc/scan-codec.js';

/** What is left of a scan after a page of it; undefined when nothing is. */
export function scanRemainder(whole: ScanQuery, { records, readTs }: ScanPage): ScanQuery | undefined {
  const query = { ...whole, readTs };
  if (records.length === 0) return query;
  if (query.limit > 0 && records.length >= query.limit) return undefined;
  const limit = query.limit === 0 ? 0 : query.limit - records.length;
  const lastKey = records[records.length - 1].key;
  if (query.reverse) {
    return compareBytes(query.start, lastKey) < 0 ? { ...query, end: lastKey, limit } : undefined;
  }
  const start = keySuccessor(lastKey);
  return query.end.length === 0 || compareBytes(start, query.end) < 0 ? { ...query, start, limit } : undefined;
}
