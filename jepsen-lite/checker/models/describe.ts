/** A value for people: quoted, or `absent`. */
export function describeValue(value: string | null): string {
  return value === null ? 'absent' : JSON.stringify(value);
}
