/** A fault under way. */
export interface Fault {
  readonly end: () => void;
  /** Virtual milliseconds; default: as the plan says. */
  readonly lastsMs?: number | undefined;
  /** Whether it has met anything so far. Without it: as soon as it began. */
  readonly hadEffect?: () => boolean;
}
