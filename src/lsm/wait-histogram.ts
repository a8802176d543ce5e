/** In milliseconds. */
const boundsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] as const;

/** How many waits took `msMax` at most, and longer than the class before allows. */
export interface WaitClass {
  /** Undefined in the last one: it has no bound. */
  readonly msMax: number | undefined;
  readonly count: number;
}

/** Counts waits by their length. */
export class WaitHistogram {
  readonly #counts = [...boundsMs, undefined].map(() => 0);

  add(ms: number): void {
    const at = boundsMs.findIndex((bound) => ms <= bound);
    this.#counts[at === -1 ? boundsMs.length : at]++;
  }

  /** From the shortest on, those without any too. */
  get classes(): readonly WaitClass[] {
    return this.#counts.map((count, i) => ({ msMax: boundsMs.at(i), count }));
  }
}
