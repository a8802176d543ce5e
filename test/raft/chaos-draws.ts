/** What chaos counts, and what it draws: settings and configurations. */
import type { ReplicaId } from '../../src/base/ids.js';
import type { Prng } from '../../src/base/prng.js';
import type { Configuration } from '../../src/raft/config.js';
import { changedConfiguration } from '../../src/raft/config-change.js';
import { leaseDurationMs } from '../../src/raft/lease.js';
import { tickMs } from './chaos-clocks.js';
import type { ReplicaSettings } from './replica.js';

/** What happened, so that a test can tell whether its faults had an effect. */
export const noCounts = {
  leaders: 0,
  committed: 0,
  replacedEntries: 0,
  answeredReads: 0,
  lostReads: 0,
  leaseReads: 0,
  powerLosses: 0,
  logReads: 0,
  transfers: 0,
  lostMessages: 0,
  changes: 0,
  jointConfigurations: 0,
  replacedChanges: 0,
  installs: 0,
  quiet: 0,
};
export type ChaosCounts = typeof noCounts;

export type DrawnSettings = Omit<ReplicaSettings, 'configuration' | 'lease'>;

export function drawSettings(random: Prng, { hasLeases }: { readonly hasLeases: boolean }): DrawnSettings {
  const electionTicksMin = hasLeases ? 40 : 10;
  return {
    electionTicksMin,
    electionTicksMax: 2 * electionTicksMin,
    heartbeatTicks: 2,
    appendBytesMax: random.pick([0, 20, 1000]),
    appendsInFlightMax: random.pick([1, 2, 8]),
    quiesceTicks: random.pick([0, 3, 30]),
    uncommittedBytesMax: random.pick([200, 10_000]),
    commitNoticeTicks: random.pick([0, 1, 2]),
  };
}

export function leaseOf(
  { electionTicksMin }: Pick<DrawnSettings, 'electionTicksMin'>,
  monotonicMs: () => number,
): ReplicaSettings['lease'] {
  return { durationMs: leaseDurationMs({ electionTicksMin, tickMs }), monotonicMs };
}

/** Some other members: most voters stay, some learners become voters, and whoever is left may be a learner. */
export function drawConfiguration(
  current: Configuration,
  replicas: readonly { readonly id: ReplicaId }[],
  random: Prng,
): Configuration {
  const voters = current.voters.filter(() => random.chance(0.85));
  for (const learner of current.learners) if (random.chance(0.7)) voters.push(learner);
  if (voters.length === 0) voters.push(current.voters[0]);
  const others = replicas.map(({ id }) => id).filter((id) => !voters.includes(id));
  const learners = others.filter(() => random.chance(0.6));
  return changedConfiguration(current, { voters, learners }, random.chance(0.8));
}
