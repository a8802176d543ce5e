import type { JobTable } from '../env/background.js';
import { compactJobType, compactTables } from './compaction/compact-job.js';
import { flushEntries, flushJobType } from './memtable/flush-job.js';

/** The engine's jobs, for the table of the composition root. */
export const lsmJobs: JobTable = { [compactJobType]: compactTables, [flushJobType]: flushEntries };
