/** A node that leads a shard, of which it has the only vote; the test is the nodes of its learners. */
import { setImmediate } from 'node:timers/promises';
import { emptyBytes, utf8 } from '../../../src/base/bytes.js';
import { defined } from '../../../src/base/assert.js';
import { LogIndex, NodeId, ReplicaId, Term } from '../../../src/base/ids.js';
import { defaultLimits, type Limits } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import type { Env } from '../../../src/env/env.js';
import { silentLogger } from '../../../src/env/logger.js';
import type { HostedShard } from '../../../src/node/replicas/hosted-shard.js';
import { ShardHost } from '../../../src/node/replicas/shard-host.js';
import { Checkpoints } from '../../../src/node/snapshots/checkpoints.js';
import { encodeEntry } from '../../../src/shard/entry-format.js';
import type { SimDisk } from '../../../src/sim/disk.js';
import { inlineBackground, ManualClock, newDisk } from '../../lsm/harness.js';
import { shard, shardsFolder } from './support.js';

export const learner = ReplicaId(2);
export const limits = { ...defaultLimits, segmentBytesMax: 64 * 1024, snapshotsInFlightMax: 1 };
const timing = {
  tickMs: 50,
  heartbeatTicks: 2,
  electionTicksMin: 10,
  electionTicksMax: 20,
  quiesceTicks: 0,
  leaderLease: false,
};
export const unusedTicksMax = { delivered: 5, failed: 8 };

/** What of a turn is under way on the disk ends. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await setImmediate();
}

export class Leader {
  readonly disk: SimDisk;
  readonly clock: ManualClock;
  readonly host: ShardHost;
  readonly hosted: HostedShard;
  readonly checkpoints: Checkpoints;

  private constructor(disk: SimDisk, clock: ManualClock, host: ShardHost) {
    this.disk = disk;
    this.clock = clock;
    this.host = host;
    this.hosted = defined(host.shard(shard), 'the shard');
    this.checkpoints = new Checkpoints({
      disk,
      folderOf: (id) => `${shardsFolder}/${id}`,
      firstNumber: 1,
      unusedTicksMax,
      logger: silentLogger,
    });
    const { checkpoints } = this;
    host.snapshots = { want: () => undefined, pinnedIndex: (id) => checkpoints.pinnedIndex(id) };
  }

  /** With learners 2 and 3, which have nothing. */
  static async start(changes: Partial<Limits> = {}): Promise<Leader> {
    const [disk, clock, random] = [newDisk(), new ManualClock(), new Prng(1)];
    await disk.makeDirectory('node');
    const unused = (): never => {
      throw new Error('it speaks through the test');
    };
    const network = { connect: unused, listen: unused };
    const env: Env = { disk, background: inlineBackground(disk), clock, random, network, logger: silentLogger };
    const host = await ShardHost.open({
      env,
      directory: 'node',
      nodeId: NodeId(1),
      limits: { ...limits, ...changes },
      timing,
    });
    host.storeOf = (node) => `store-${node}`;
    const of = { start: utf8(''), end: utf8(''), epoch: { membership: 1, range: 1 } };
    await host.create({ shard, ...of, replicas: [{ replica: ReplicaId(1), node: NodeId(1) }] });
    const leader = new Leader(disk, clock, host);
    await leader.campaign();
    await leader.haveLearners(2, 3);
    return leader;
  }

  async campaign(): Promise<void> {
    this.hosted.replica.campaign();
    await turn();
  }

  async haveLearners(...nodes: number[]): Promise<void> {
    const learners = nodes.map((node) => NodeId(node));
    this.hosted.replica.changeMembers({ voters: [NodeId(1)], learners }, () => undefined);
    await turn();
  }

  /** Entries that are committed and applied. */
  async write(count = 1): Promise<void> {
    const { replica } = this.hosted;
    const entry = encodeEntry({ type: 'effects', epoch: replica.descriptor.epoch, batch: emptyBytes });
    for (let i = 0; i < count; i++) replica.propose(entry, () => undefined);
    await turn();
  }

  /** All that the log holds is in tables, and dropped from it. */
  async dropLog(): Promise<void> {
    const { replica, tree } = this.hosted;
    replica.propose(encodeEntry({ type: 'truncateLog', upTo: replica.appliedIndex }), () => undefined);
    await turn();
    await tree.flush();
  }

  /** The learner has its log up to here. */
  async acknowledge(index: number, from = learner): Promise<void> {
    const answer = { from, to: ReplicaId(1), term: this.hosted.replica.term, rejected: false } as const;
    const hint = { hintIndex: LogIndex(0), hintTerm: Term(0) };
    const message = { type: 'appendResponse', ...answer, ...hint, logIndex: LogIndex(index) } as const;
    this.host.step(NodeId(from), [{ shard, message }]);
    await turn();
  }

  /** The learner lives. */
  async answerHeartbeat(from: ReplicaId): Promise<void> {
    const head = { type: 'heartbeatResponse', from, to: ReplicaId(1), term: this.hosted.replica.term } as const;
    this.host.step(NodeId(from), [{ shard, message: { ...head, readRound: 0, probe: 0, quiet: false } }]);
    await turn();
  }

  /** Somebody else leads from now on. */
  async depose(): Promise<void> {
    const term = Term(this.hosted.replica.term + 1);
    const head = { type: 'heartbeat', from: learner, to: ReplicaId(1), term } as const;
    const zero = LogIndex(0);
    const message = { ...head, commit: zero, leaderCommit: zero, readRound: 0, probe: 0, quiesce: false } as const;
    this.host.step(NodeId(learner), [{ shard, message }]);
    await turn();
  }

  async tick(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.host.tick(1);
      await turn();
    }
  }

  async folders(): Promise<string[]> {
    return await this.disk.list(shardsFolder);
  }
}
