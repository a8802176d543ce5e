/** For what runs without waiting: time of the processor, which other load on the machine hardly touches. */

/** Processor microseconds of one call of `body`, over `calls` of them after a tenth of that to warm up. */
export function cpuMicrosPerCall(calls: number, body: (n: number) => void): number {
  for (let n = 0; n < calls / 10; n++) body(n);
  const before = process.cpuUsage();
  for (let n = 0; n < calls; n++) body(n);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}
