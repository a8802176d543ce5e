/** The value of a metric without labels in a page of Prometheus' text format. */
export function metric(page: string, name: string): number {
  const line = page.split('\n').find((text) => text.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no metric ${name}`);
  return Number(line.slice(name.length + 1));
}
