/** Where a command writes to: results to `out`, remarks for people to `err`. Text comes with its line ends. */
export interface Streams {
  out(text: string): void;
  err(text: string): void;
}

/**
 * How the process ends. The first three are verdicts; the others are the conventional codes of sysexits.h, so that
 * a mistake in the command never looks like a verdict.
 */
export const exitCodes = {
  linearizable: 0,
  notLinearizable: 1,
  unknown: 2,
  wrongUsage: 64,
  badInput: 65,
} as const;
