import type { Walk, WalkPlan } from './walk.js';

/** One walk. Throws when something does not hold. */
export function runWalk(kind: typeof Walk, seed: number, plan: WalkPlan = {}): Walk {
  const walk = new kind(seed, plan);
  walk.run(plan.steps ?? 200);
  return walk;
}
