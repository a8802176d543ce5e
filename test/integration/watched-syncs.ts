/** Real processes whose log syncs are counted and take longer: see watch-syncs.ts, which runs in them. */
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

  /** @param extraMs what each sync takes longer */
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

  /** Beginnings (`b`) and ends (`e`) of all syncs of a running node's log so far, in their order. */
  of(node: ClusterProcess): string {
    const file = join(this.#folder, String(node.pid));
    return existsSync(file) ? readFileSync(file, 'latin1') : '';
  }

  /** Has the next sync of a running node's log fail. The result says what {@link of} did, also when the node has ended. */
  failNext(node: ClusterProcess): () => string {
    const file = join(this.#folder, String(node.pid));
    writeFileSync(`${file}.fail`, '');
    return () => readFileSync(file, 'latin1');
  }

  /** Syncs that have both begun and ended since `before`. The log has one writer: they come one after the other. */
  countSince(node: ClusterProcess, before: string): number {
    return this.of(node).slice(before.length).match(/be/g)?.length ?? 0;
  }
}
