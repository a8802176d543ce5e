/** Holds what clients were told, beyond the histories of single keys, against what is promised. */
import type { AcknowledgedWrite, Observations, SeenScan } from './observations.js';

/** Longest time by which a stale read may lag, in virtual milliseconds. */
export interface ObservationBounds {
  readonly staleMsMax: number;
}

/** The first things that are wrong; empty when nothing is. */
export function checkObservations(seen: Observations, { staleMsMax }: ObservationBounds): string[] {
  return [
    ...seen.violations,
    ...timestampsOutOfOrder(seen),
    ...seen.scans.flatMap((scan) => notOneMoment(seen, scan)),
    ...tooStale(seen, staleMsMax),
  ];
}

/** What begins after another has ended has the higher timestamp, whatever keys and nodes they are of. */
function timestampsOutOfOrder({ writes, scans }: Observations): string[] {
  const stamped = [
    ...writes.map(({ key, version, calledMs, returnedMs }) => ({ what: key, at: version, calledMs, returnedMs })),
    ...scans
      .filter(({ isFresh }) => isFresh)
      .map(({ readTs, calledMs, returnedMs }) => ({ what: 'a scan', at: readTs, calledMs, returnedMs })),
  ];
  const byCall = [...stamped].sort((a, b) => a.calledMs - b.calledMs);
  const byReturn = [...stamped].sort((a, b) => a.returnedMs - b.returnedMs);
  const wrong: string[] = [];
  let returned = 0;
  let highest: (typeof stamped)[number] | undefined;
  for (const one of byCall) {
    for (; returned < byReturn.length && byReturn[returned].returnedMs < one.calledMs; returned++) {
      if (highest === undefined || byReturn[returned].at > highest.at) highest = byReturn[returned];
    }
    if (highest === undefined || one.at > highest.at) continue;
    wrong.push(
      `${one.what} at ${one.at}, called at ${one.calledMs.toFixed(3)}, is not above ` +
        `${highest.what} at ${highest.at}, answered at ${highest.returnedMs.toFixed(3)}`,
    );
  }
  return wrong;
}

/** A scan shows, of every key, the newest version at or below its timestamp. */
function notOneMoment(seen: Observations, { readTs, covered, records, returnedMs }: SeenScan): string[] {
  const wrong: string[] = [];
  const found = new Map(records.map((record) => [record.key, record.version]));
  for (const key of covered) {
    const newest = seen.versions(key).findLast(({ version }) => version <= readTs);
    const version = found.get(key);
    if (version !== undefined && version > readTs) wrong.push(`a scan at ${readTs} has ${key} of version ${version}`);
    else if (version !== undefined && newest !== undefined && newest.version > version)
      wrong.push(`a scan at ${readTs} has ${key} of version ${version}, not of ${newest.version}`);
    else if (version === undefined && typeof newest?.value === 'string' && !seen.mayBeDeletedBy(key, returnedMs))
      wrong.push(`a scan at ${readTs} misses ${key} of version ${newest.version}`);
  }
  return wrong;
}

/** A stale read shows what once was, and nothing that was replaced by what had been acknowledged `staleMsMax` before. */
function tooStale(seen: Observations, staleMsMax: number): string[] {
  const wrong: string[] = [];
  const writesOf = new Map<string, AcknowledgedWrite[]>();
  for (const write of seen.writes) {
    const writes = writesOf.get(write.key);
    if (writes === undefined) writesOf.set(write.key, [write]);
    else writes.push(write);
  }
  for (const { key, version, calledMs, returnedMs } of seen.staleReads) {
    let old: AcknowledgedWrite | undefined;
    for (const write of writesOf.get(key) ?? []) {
      if (write.returnedMs < calledMs - staleMsMax && write.version > (old?.version ?? 0)) old = write;
    }
    if (old === undefined || old.version <= version) continue;
    if (version === 0 && isDeletedSince(seen, old, returnedMs)) continue;
    const shown = version === 0 ? 'nothing' : `version ${version}`;
    wrong.push(
      `a stale read of ${key} at ${calledMs.toFixed(3)} shows ${shown}, though ${old.version} was ` +
        `acknowledged at ${old.returnedMs.toFixed(3)}`,
    );
  }
  return wrong;
}

/** Whether the key can have been absent at some time from `write` on. */
function isDeletedSince(seen: Observations, { key, version }: AcknowledgedWrite, untilMs: number): boolean {
  const since = seen.versions(key).filter((known) => known.version >= version);
  return since.some(({ value }) => value === null) || seen.mayBeDeletedBy(key, untilMs);
}
