/**
 * What a seed decides about its run. Each run has a shape of its own, and meets some faults and some small limits only:
 * a defect that needs one of them often and the others not at all is not found where everything happens a little
 * (Groce et al., "Swarm Testing", ISSTA 2012).
 */
import { defaultLimits, type Limits } from '../base/limits.js';
import { Prng } from '../base/prng.js';
import type { RaftTiming, RepairMode } from '../node/options.js';
import type { BurstPlan } from './bursts.js';
import { faultOfMinutesMs, faultsOfMinutes, faultTypes, nodeFaults } from './fault-types.js';
import type { FaultType } from './fault-types.js';

/** Plain data, so that a failing run can show all of it. */
export interface SimPlan {
  readonly nodes: number;
  /** Of each shard. */
  readonly replicas: number;
  readonly shards: number;
  /** What is not named here has the size that suits a short run: see `simLimits`. */
  readonly limits: Partial<Limits>;
  /** What is not named here is as by default. */
  readonly raft: Partial<RaftTiming>;
  readonly workload: WorkloadPlan;
  readonly faults: FaultPlan;
  readonly repair: RepairMode;
  /** A minority stays broken for a while when the faults end. */
  readonly healsQuorumFirst: boolean;
}

export interface WorkloadPlan {
  readonly clients: number;
  readonly keys: number;
  /** Virtual milliseconds between an answer and the client's next call, at most. */
  readonly thinkMsMax: number;
  /** Without it clients never rest. */
  readonly bursts?: BurstPlan | undefined;
  /** Every value is padded to this. */
  readonly valueBytes: number;
  /** How often clients choose each, relative to the others. */
  readonly actions: Readonly<Record<ClientAction, number>>;
}

/** `one` and `batch` are linearizable reads, writes and compare-and-sets. */
export type ClientAction = 'one' | 'batch' | 'scan' | 'staleRead' | 'staleScan' | 'atomicBatch';

export interface FaultPlan {
  readonly types: readonly FaultType[];
  /** Virtual milliseconds between two faults, at most. */
  readonly gapMsMax: number;
  /** Virtual milliseconds that a fault lasts, at most. */
  readonly lastsMsMax: number;
  /** Virtual milliseconds under faults, at least; default: as long as was asked for. */
  readonly phaseMsMin?: number;
}

const kib = 1024;

/** Each group is small as a whole, so that the relations which `checkLimits` asserts hold. */
const tinyLimits = {
  sizes: {
    keyBytesMax: 64,
    valueBytesMax: kib,
    requestBytesMax: 16 * kib,
    entryBytesMax: 2 * kib,
    uncommittedBytesMax: 32 * kib,
    appendBytesMax: 2 * kib,
    scanPageBytesMax: 16 * kib,
    peerFrameBytesMax: 64 * kib,
    peerQueueBytesMax: 128 * kib,
    snapshotChunkBytesMax: 512,
  },
  log: {
    segmentBytesMax: 16 * kib,
    logBytesFlush: 40 * kib,
    logBytesRewrite: 64 * kib,
    logCacheBytesMax: 4 * kib,
    shardLogBytesMax: 4 * kib,
  },
  tables: { memtableBytesMax: 4 * kib, sealedMemtablesMax: 2, blockCacheBytesMax: 16 * kib },
  inFlight: {
    appendsInFlightMax: 2,
    batchOperationsMax: 2,
    nodeOperationsInFlightMax: 24,
    nodeBytesInFlightMax: 16 * kib,
    shardOperationsInFlightMax: 6,
    peerRequestsInFlightMax: 16,
  },
  pages: { scanPageBytesMax: 512, scanPageRecordsMax: 3 },
  // Longer than a client keeps sending one write again: see docs/protocol/request-ids.md.
  retention: { requestIdRetentionMs: 60_000, versionRetentionMs: 1000, staleReadMsMax: 1000 },
} as const satisfies Record<string, Partial<Limits>>;

/** Log segments that are kept to be overwritten: as by default, or another number. */
const spares = [{}, { spareSegmentsMax: 0 }, { spareSegmentsMax: 1 }, { spareSegmentsMax: 8 }] as const;

/** Longer than what all jumps of a run come to. */
const jumpsRetentionMs = 24 * 3600_000;

const restlessThinkMsMax = 500;

/** Few runs have faults of minutes, since each of them costs as much as many others. */
const minutesChance = 0.03;

/** Nodes come and go. */
const nodesChance = 0.15;

const drawnApart: readonly FaultType[] = [...faultsOfMinutes, ...nodeFaults];

export function drawPlan(seed: number): SimPlan {
  const plan = drawShortPlan(seed);
  const drawn = new Prng(seed).split('nodes').chance(nodesChance) ? withNodes(plan) : plan;
  const long = new Prng(seed).split('minutes').chance(minutesChance) ? lengthened(drawn) : drawn;
  return plan.faults.types.includes('monotonicJump') ? withJumps(long) : long;
}

/**
 * Timestamps pass as fast as the monotonic clock of whoever issues them, or twice as fast: with each jump minutes, and several of them
 * while a client keeps sending one write.
 */
function withJumps(plan: SimPlan): SimPlan {
  return { ...plan, limits: { ...plan.limits, requestIdRetentionMs: jumpsRetentionMs } };
}

/** Their operator says where replicas are: nobody else moves any. A node that has lost its disk gets back what it had. */
function withNodes(plan: SimPlan): SimPlan {
  const { faults } = plan;
  const others = faults.types.filter((type) => type !== 'changeMembers');
  return { ...plan, faults: { ...faults, types: [...others, ...nodeFaults] } };
}

/** With few calls; and request ids are kept for longer than what is on its way can be late. */
function lengthened(plan: SimPlan): SimPlan {
  const { workload, faults, limits } = plan;
  return {
    ...plan,
    limits: { ...limits, requestIdRetentionMs: defaultLimits.requestIdRetentionMs },
    workload: { ...workload, clients: 3, thinkMsMax: 1000, bursts: undefined },
    faults: {
      ...faults,
      types: [...faults.types, ...faultsOfMinutes],
      gapMsMax: 30_000,
      phaseMsMin: 1.2 * faultOfMinutesMs.max,
    },
  };
}

function drawShortPlan(seed: number): SimPlan {
  const random = new Prng(seed).split('plan');
  const nodes = random.pick([3, 3, 5]);
  return {
    nodes,
    replicas: random.chance(0.1) ? 1 : random.pick(nodes === 5 ? [3, 5] : [3]),
    shards: random.pick([1, 2, 3, 4, 7, 16]),
    limits: { ...drawLimits(random), ...new Prng(seed).split('spares').pick(spares) },
    workload: withRhythm(
      drawWorkload(random, new Prng(seed).split('atomic')),
      drawBursts(new Prng(seed).split('bursts')),
    ),
    raft: drawTiming(new Prng(seed).split('timing')),
    repair: new Prng(seed).split('repair').pick(['manual', 'fromPeers']),
    healsQuorumFirst: new Prng(seed).split('quorum').chance(0.5),
    faults: {
      types: random.shuffle(faultTypes.filter((type) => !drawnApart.includes(type))).slice(0, random.int(1, 6)),
      gapMsMax: random.pick([800, 1500, 2500, 5000]),
      lastsMsMax: random.pick([1000, 3000, 5000, 10_000]),
    },
  };
}

function drawTiming(random: Prng): Partial<RaftTiming> {
  // Groups that stay awake cost most of all, where there are many, and do nothing for it but beat.
  return { quiesceTicks: random.pick([0, 2, 2, 10, 10, 60]), leaderLease: random.chance(0.3) };
}

function drawLimits(random: Prng): Partial<Limits> {
  const tinyChance = random.pick([0, 0.5, 1]);
  const isTiny = (): boolean => random.chance(tinyChance);
  const { sizes, log, tables, inFlight, pages, retention } = tinyLimits;
  const limits: Partial<Limits>[] = [];
  // A small segment holds four small entries only.
  if (isTiny()) limits.push(sizes, isTiny() ? log : {});
  for (const group of [tables, inFlight, pages, retention]) if (isTiny()) limits.push(group);
  return Object.assign({}, ...limits) as Partial<Limits>;
}

function drawBursts(random: Prng): BurstPlan | undefined {
  if (random.chance(1 / 32)) return undefined;
  return random.pick([
    { lastsMsMax: 300, gapMsMax: 3000, callsMax: 40 },
    { lastsMsMax: 600, gapMsMax: 8000, callsMax: 60 },
    { lastsMsMax: 1500, gapMsMax: 20_000, callsMax: 100 },
  ]);
}

/** Clients that never rest think for longer, or a minute of theirs would cost as much as ten of the others. */
function withRhythm(workload: WorkloadPlan, bursts: BurstPlan | undefined): WorkloadPlan {
  return bursts === undefined ? { ...workload, thinkMsMax: restlessThinkMsMax } : { ...workload, bursts };
}

function drawWorkload(random: Prng, atomic: Prng): WorkloadPlan {
  const sometimes = (): number => random.pick([0, 1, 3]);
  return {
    clients: random.int(3, 12),
    keys: random.int(4, 12),
    thinkMsMax: random.pick([15, 40, 40, 100]),
    valueBytes: random.pick([8, 8, 100, 300, 900]),
    actions: {
      one: 10,
      batch: sometimes(),
      scan: sometimes(),
      staleRead: sometimes(),
      staleScan: sometimes(),
      atomicBatch: atomic.pick([0, 1, 3]),
    },
  };
}
