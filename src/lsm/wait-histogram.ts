/** Bounds in milliseconds; the last class has none. */
const boundsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, Infinity] as const;

/** How many waits took `msMax` at most, and longer than the class before allows. */
export interface WaitClass {
  /** Infinity in the last one. */
  readonly msMax: number;
  readonly count: number;
}

/** Counts waits by their length. */
export class WaitHistogram {
  readonly #counts = boundsMs.map(() => 0);

  add(ms: number): void {
    this.#counts[boundsMs.findIndex((bound) => ms <= bound)]++;
  }

  /** From the shortest on, those without any too. */
  get classes(): readonly WaitClass[] {
    return boundsMs.map((msMax, i) => ({ msMax, count: this.#counts[i] }));
  }
}
