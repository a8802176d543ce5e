/** Real processes in which batches of the log are counted when they are durable, and take longer: see watch-syncs.ts. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterProcess } from '../../jepsen-lite/cluster/process-cluster.js';
import { compile } from '../platform/compile.js';

export class WatchedSyncs {
  /** For the processes. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #folder: string;

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.environment = environment;
  }

  /** @param extraMs what each batch takes longer */
  static async prepare(folder: string, extraMs: number): Promise<WatchedSyncs> {
    const counts = join(folder, 'syncs');
    mkdirSync(counts);
    const module = await compile(new URL('./watch-syncs.ts', import.meta.url), folder);
    return new WatchedSyncs(counts, {
      NODE_OPTIONS: `--import=${module.href}`,
      WATCH_SYNCS_FOLDER: counts,
      WATCH_SYNCS_EXTRA_MS: String(extraMs),
    });
  }

  /** Beginnings (`b`) and ends (`e`) of all durable writes of batches in a running node so far, in their order. */
  of(node: ClusterProcess): string {
    const file = join(this.#folder, String(node.pid));
    return existsSync(file) ? readFileSync(file, 'latin1') : '';
  }

  /** Has the next batch of a running node's log fail. The result says what {@link of} did, also when the node has ended. */
  failNext(node: ClusterProcess): () => string {
    const file = join(this.#folder, String(node.pid));
    writeFileSync(`${file}.fail`, '');
    return () => readFileSync(file, 'latin1');
  }

  /** Batches that have been made durable, from beginning to end, since `before`. They come one after the other. */
  countSince(node: ClusterProcess, before: string): number {
    return this.of(node).slice(before.length).match(/be/g)?.length ?? 0;
  }
}
