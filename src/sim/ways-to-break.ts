/** How a machine of a minority stays broken while a quorum is healed (minority.ts). Each is a mark of its own (coverage.ts). */
export const waysToBreak = [
  'deadMinority',
  'pausedMinority',
  'cutOffMinority',
  'stalledMinority',
  'fullMinority',
] as const;
export type WayToBreak = (typeof waysToBreak)[number];
