/** A tree has not done what it promises. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement';
}

/** Throws a {@link Disagreement} unless both are the same as JSON. */
export function requireEqual(what: string, found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Disagreement(`${what}\n  found    ${a}\n  expected ${b}`);
}

export function requireThat(condition: boolean, what: string): void {
  if (!condition) throw new Disagreement(what);
}
