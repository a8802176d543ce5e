/**
 * The bug zoo of whole nodes: each bug breaks a rule that the core of Raft has no part in, by a change to one place of a
 * copy of the sources, or to two where a rule is guarded twice (those of the core are in test/raft/bugs.ts). So the product
 * has no switches, and a bug whose place is gone is noticed.
 */
import type { SimPlan, WorkloadPlan } from '../../src/sim/swarm.js';

export interface Bug {
  /** What the broken node does. */
  readonly name: string;
  readonly file: string;
  /** Stands in the file once. */
  readonly line: string;
  readonly broken: string;
  readonly also?: Pick<Bug, 'file' | 'line' | 'broken'>;
  /**
   * Runs of {@link bugPlan} from seed 1 on: one of `seedsMax` fails, and the first failure says what was wrong. Or, where
   * runs do not have the fault, the rules of Raft in a scenario that was written for it.
   */
  readonly foundBy:
    | {
        readonly type: 'runs';
        readonly seedsMax: number;
        readonly failure: RegExp;
        /** Instead of what {@link bugPlan} says. */
        readonly plan?: Partial<SimPlan>;
      }
    | { readonly type: 'replaceDisk'; readonly violation: RegExp };
}

const workload: WorkloadPlan = {
  clients: 6,
  keys: 6,
  thinkMsMax: 40,
  valueBytes: 100,
  actions: { one: 10, batch: 1, scan: 1, staleRead: 0, staleScan: 0, atomicBatch: 3 },
};

/** Processes die often, and tables are written often. */
export const bugPlan: Partial<SimPlan> = {
  nodes: 3,
  replicas: 3,
  shards: 1,
  limits: { memtableBytesMax: 4096, sealedMemtablesMax: 2, blockCacheBytesMax: 16_384 },
  workload,
  faults: { types: ['crash', 'powerLoss'], gapMsMax: 1500, lastsMsMax: 1000 },
  healsQuorumFirst: false,
};

/** One shard whose leaders are lost in one way or another, while clients write and read two keys. */
const onePlan: Partial<SimPlan> = {
  nodes: 3,
  replicas: 3,
  shards: 1,
  limits: {},
  raft: {},
  workload: {
    clients: 8,
    keys: 2,
    thinkMsMax: 15,
    valueBytes: 8,
    actions: { one: 10, batch: 0, scan: 0, staleRead: 0, staleScan: 0, atomicBatch: 0 },
  },
};

/** Versions that were replaced are soon promised to nobody, and no client looks at any. */
const retentionPlan: Partial<SimPlan> = {
  limits: { ...bugPlan.limits, requestIdRetentionMs: 60_000, versionRetentionMs: 1000, staleReadMsMax: 1000 },
  workload: { ...workload, actions: { ...workload.actions, scan: 0 } },
};

export const bugs: readonly Bug[] = [
  {
    name: 'saves, as applied, an entry whose changes are in memory only (pitfall 5)',
    file: 'lsm/flush-runner.ts',
    line: `      appliedIndex: memtable.appliedIndex,
    });
    memtables`,
    broken: `      appliedIndex: (memtable.appliedIndex + Math.min(1, memtable.count >> 4)) as typeof memtable.appliedIndex,
    });
    memtables`,
    // Whichever comes first: a restart goes on after what it lacks, or a checkpoint is said to have what nobody committed.
    foundBy: {
      type: 'runs',
      seedsMax: 3,
      failure: /holds of shard 1 at \d+: .* its entries add up to|a snapshot of entry \d+, which is not committed/,
    },
  },
  {
    name: 'saves the changes of an entry that it does not say was applied (pitfall 5)',
    file: 'lsm/flush-runner.ts',
    line: `      appliedIndex: memtable.appliedIndex,
    });
    memtables`,
    broken: `      appliedIndex: (memtable.appliedIndex - Math.min(1, memtable.count >> 4)) as typeof memtable.appliedIndex,
    });
    memtables`,
    foundBy: {
      type: 'runs',
      seedsMax: 3,
      failure: /entry \d+ writes \d+, the shard has|holds of shard 1 at \d+: .* its entries add up to/,
    },
  },
  {
    name: 'leaves out of its tables, as all others do, some of what no client asks for',
    file: 'lsm/memtable/flush-job.ts',
    line: 'if (!retention.keeps(key, version, kind)) continue;',
    broken: 'if (!retention.keeps(key, version, kind) || (key[0] === 3 && version % 7 === 0)) continue;',
    foundBy: { type: 'runs', seedsMax: 3, failure: /holds of shard 1 at \d+: .* its entries add up to/ },
  },
  {
    name: 'drops all but the newest version of a key, though readers are promised older ones',
    file: 'lsm/compaction/retention.ts',
    line: `    if (version > this.#options.safePoint) return true;
    this.#replaced = true;`,
    broken: `    this.#replaced = true;
    if (version > this.#options.safePoint) return true;`,
    foundBy: {
      type: 'runs',
      seedsMax: 3,
      failure: /holds of shard 1 at \d+, as of version \d+: .* its entries add up to/,
      plan: retentionPlan,
    },
  },
  {
    name: 'drops versions below a safe point that it may have forgotten when it starts again',
    file: 'mvcc/state-machine.ts',
    line: `    if (this.#engine.durableAppliedIndex < this.#mark.index) return;
    this.#engine.setSafePoint(this.#mark.safePoint);`,
    broken: '    this.#engine.setSafePoint(this.#safePoint);',
    foundBy: {
      type: 'runs',
      seedsMax: 10,
      failure: /holds of shard 1 at \d+, as of version \d+: .* its entries add up to/,
      plan: retentionPlan,
    },
  },
  {
    name: 'does a request again that is sent again (pitfall 25)',
    file: 'mvcc/evaluation.ts',
    line: 'if (record !== undefined) return answerAgain(write, record);',
    broken: '',
    foundBy: { type: 'runs', seedsMax: 3, failure: /was answered with written at \d+ and then written at/ },
  },
  {
    name: 'keeps request ids out of the replicated state (pitfall 25)',
    file: 'mvcc/evaluation.ts',
    line: "this.effects.push({ type: 'put', key: bucket.key, version, value: state.value.value });",
    broken: '',
    foundBy: { type: 'runs', seedsMax: 3, failure: /was answered with written at \d+ and then written at/ },
  },
  {
    name: 'does an atomic batch although one of its conditions fails',
    file: 'mvcc/evaluation.ts',
    line: 'if (unmet.length > 0) return conditionsFailed(unmet);',
    broken: 'if (unmet.length === operations.length) return conditionsFailed(unmet);',
    foundBy: { type: 'runs', seedsMax: 3, failure: /the history is not linearizable/ },
  },
  {
    name: 'does what it can of an atomic batch of which a condition fails',
    file: 'mvcc/evaluation.ts',
    line: 'if (unmet.length > 0) return conditionsFailed(unmet);',
    broken: `if (unmet.length > 0) {
      operations.forEach((each, i) => {
        if (unmet.some(({ index }) => index === i)) return;
        if (each.type === 'put') this.#changeUser(effectOf(each, users[i], version));
      });
      return conditionsFailed(unmet);
    }`,
    foundBy: { type: 'runs', seedsMax: 3, failure: /a scan at \d+ (has|misses)|the history is not linearizable/ },
  },
  {
    name: 'forgets a part of some atomic batches',
    file: 'mvcc/evaluation.ts',
    line: 'const each = operations[i];',
    broken: `const each = operations[i];
      if (i > 0 && version % 4 === 0) continue;`,
    foundBy: { type: 'runs', seedsMax: 3, failure: /a scan at \d+ (has|misses)|the history is not linearizable/ },
  },
  {
    name: 'leaves a quiet group asleep whose leader may be dead (pitfall 30)',
    file: 'node/replicas/shard-host.ts',
    line: 'for (const { replica } of this.#shards.values()) replica.peerUnreachable(node);',
    broken: '',
    // Once all is healed, the leader is back.
    foundBy: {
      type: 'runs',
      seedsMax: 10,
      failure: /ms after a quorum was healed, without node-\d \((dead|paused|cutOff)Minority\)/,
      plan: {
        shards: 4,
        raft: { quiesceTicks: 2 },
        workload: { ...workload, bursts: { lastsMsMax: 300, gapMsMax: 3000, callsMax: 40 } },
        healsQuorumFirst: true,
      },
    },
  },
  {
    name: 'takes a node that has lost its disk for the one that it was (pitfall 17)',
    file: 'placement/node-registry.ts',
    line: 'if (expected === undefined || expected === storeId) return undefined;',
    broken: 'return undefined;',
    foundBy: {
      type: 'runs',
      plan: {
        ...onePlan,
        repair: 'manual',
        faults: { types: ['lostDisk', 'isolate'], gapMsMax: 600, lastsMsMax: 3000 },
      },
      seedsMax: 3,
      failure: /a heartbeat with commit index \d+, when what was acknowledged ends at \d+|not \d+ as committed/,
    },
  },
  {
    name: 'lets an empty disk in while groups still count on what the old one has promised (pitfall 17)',
    file: 'placement/node-registry.ts',
    line: 'return replicas.some((replica) => replica.node === node);',
    // Of the placement group, which is on all five nodes, and of no other.
    broken: 'return replicas.length > 3 && replicas.some((replica) => replica.node === node);',
    also: {
      file: 'placement/membership-steps.ts',
      line: 'groups.filter((group) => isOpen(group) && !unplanned.includes(group))',
      broken: 'groups.filter(({ shard }) => !left.has(shard) && shard === placementShardId)',
    },
    foundBy: { type: 'replaceDisk', violation: /leads in term \d+ with entry \d+ of term \d+, not \d+ as committed/ },
  },
  {
    name: 'answers reads without a round (pitfall 7)',
    file: 'raft/read-index.ts',
    line: 'this.#unconfirmed.push({ round: this.#begun, index: commitIndex, begunMs });',
    broken: 'this.#confirmed.push({ round: this.#begun, index: commitIndex });',
    foundBy: {
      type: 'runs',
      // A leader that is cut off, and whose clock stands still, goes on for longer than it takes to elect another.
      plan: { ...onePlan, faults: { types: ['isolate', 'monotonicFreeze', 'pause'], gapMsMax: 600, lastsMsMax: 4000 } },
      seedsMax: 60,
      failure: /the history is not linearizable/,
    },
  },
  {
    name: 'acknowledges entries before they are synced (pitfall 3)',
    file: 'raft/inbox.ts',
    line: "this.#outbox.sendAfterSync({ type: 'appendResponse'",
    broken: "this.#outbox.send({ type: 'appendResponse'",
    foundBy: {
      type: 'runs',
      plan: { ...onePlan, faults: { types: ['powerLoss', 'blackout'], gapMsMax: 300, lastsMsMax: 600 } },
      seedsMax: 10,
      failure: /leads in term \d+ with entry \d+ of term \d+, not \d+ as committed|the history is not linearizable/,
    },
  },
];
