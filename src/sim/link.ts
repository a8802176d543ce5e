/** One direction between two hosts; connections in both directions use it. */
export interface Link {
  readonly from: string;
  readonly to: string;
  /**
   * `blocked`: nothing arrives; connections that try break after a while, new ones do not come up.
   * `held`: nothing arrives until it is open again, but connections live on.
   */
  state: 'open' | 'blocked' | 'held';
  /** Shortest and longest time that a frame is under way, in virtual milliseconds; mostly near the shortest. */
  delayMs: readonly [min: number, max: number];
  /** Frames that the other side got when they were at least so old: {@link oldMs}. */
  oldArrivals: number;
}

/** Older than anything that a node, or its client, still waits for. */
export const oldMs = 60_000;
