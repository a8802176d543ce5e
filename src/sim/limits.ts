import type { Limits } from '../base/limits.js';

const kib = 1024;

/** Small, so that flushes, compactions and segment changes happen in a short run. */
export const simLimits: Partial<Limits> = {
  keyBytesMax: 256,
  valueBytesMax: 4 * kib,
  entryBytesMax: 16 * kib,
  appendBytesMax: 16 * kib,
  segmentBytesMax: 64 * kib,
  logBytesFlush: 256 * kib,
  logBytesRewrite: 384 * kib,
  logCacheBytesMax: 32 * kib,
  shardLogBytesMax: 8 * kib,
  snapshotChunkBytesMax: 4 * kib,
  nodeMemtableBytesMax: 9 * 1024 * kib,
  memtableBytesMax: 64 * kib,
  blockCacheBytesMax: 256 * kib,
};
