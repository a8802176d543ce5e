/** Entry of a worker thread: runs the jobs of flush and compaction on the real disk. */
import { lsmJobs } from '../lsm/jobs.js';
import { NodeDisk } from '../platform/disk.js';
import { serveJobs } from '../platform/worker.js';

serveJobs(lsmJobs, new NodeDisk());
