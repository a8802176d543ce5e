/** "Did you mean …?" for names that people type. */

/** Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`: optimal string alignment distance. */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const cost = new Uint32Array((a.length + 1) * width);
  for (let j = 0; j < width; j++) cost[j] = j;
  for (let i = 1; i <= a.length; i++) {
    const row = i * width;
    cost[row] = i;
    for (let j = 1; j < width; j++) {
      const replace = cost[row - width + j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replace, cost[row - width + j] + 1, cost[row + j - 1] + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, cost[row - 2 * width + j - 2] + 1);
      cost[row + j] = best;
    }
  }
  return cost[a.length * width + b.length];
}

/**
 * The candidate that `name` was most likely meant to be, undefined when none is close: at most a third of the name
 * is wrong, capitals, dashes and underscores aside.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '');
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain(name), plain(candidate));
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}
