/** Runs of random tests, one for each seed: `RAFT_SEED` replays one, `RAFT_SEEDS` sets how many run. */
const onlySeed = process.env.RAFT_SEED;

export interface SeedSums<Name extends string> {
  readonly seeds: number;
  /** Of all runs. */
  readonly total: Partial<Record<Name, number>>;
}

/**
 * Runs `run` with the seeds 1 to `usualSeeds`, unless the environment has others. Throws with the seed and how to replay it. Undefined
 * where one is replayed: its counts prove nothing.
 *
 * @param file the test's, from the project's root
 */
export function sumOverSeeds<Name extends string>(
  file: string,
  usualSeeds: number,
  run: (seed: number) => { readonly counts: Readonly<Record<Name, number>> },
): SeedSums<Name> | undefined {
  const seeds = onlySeed === undefined ? Number(process.env.RAFT_SEEDS ?? usualSeeds) : 1;
  const total: Partial<Record<Name, number>> = {};
  for (let i = 0; i < seeds; i++) {
    const seed = Number(onlySeed ?? i + 1);
    const { counts } = runOrTell(file, seed, run);
    for (const name of Object.keys(counts) as Name[]) total[name] = (total[name] ?? 0) + counts[name];
  }
  return onlySeed === undefined ? { seeds, total } : undefined;
}

function runOrTell<Result>(file: string, seed: number, run: (seed: number) => Result): Result {
  try {
    return run(seed);
  } catch (error) {
    throw new Error(`seed ${seed}; replay with RAFT_SEED=${seed} npx vitest run ${file}`, { cause: error });
  }
}
