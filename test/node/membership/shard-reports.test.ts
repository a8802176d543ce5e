import { expect, test } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.js';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId } from '../../../src/base/ids.js';
import { ShardReports, type ShardReportsOptions } from '../../../src/node/membership/shard-reports.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { ShardDescriptor } from '../../../src/shard/descriptor.js';
import { newGroup, type GroupDescriptor } from '../../../src/shard/group-descriptor.js';

const lookTicks = 10;

function group(shard: number, membership: number): GroupDescriptor {
  const replicas = [1, 2].map((id) => ({ replica: ReplicaId(id), node: NodeId(id) }));
  const range = { start: emptyBytes, end: emptyBytes };
  return newGroup({ shard: ShardId(shard), ...range, epoch: { membership, range: 1 }, replicas });
}

/** Node 1. What is reported stays under way until the test says how it ended. */
class Bench {
  leader: NodeId | undefined = NodeId(2);
  leads = true;
  readonly reports: { readonly to: number; readonly shard: number; readonly end: (error?: Error) => void }[] = [];
  readonly failures: unknown[] = [];
  readonly #reports: ShardReports;

  constructor(groups: readonly GroupDescriptor[], map: ReadonlyMap<number, ShardDescriptor>) {
    this.#reports = new ShardReports({
      nodeId: NodeId(1),
      replicas: () => groups.map((descriptor) => ({ shard: descriptor.shard, isReadyLeader: this.leads, descriptor })),
      shardInMap: (shard) => map.get(shard),
      group: this.#group(),
      request: (node, body) => this.#request(node, body),
      onFailure: (error) => this.failures.push(error),
    });
  }

  #group(): ShardReportsOptions['group'] {
    const leader = (): NodeId | undefined => this.leader;
    return {
      get leaderNode() {
        return leader();
      },
      updateShard: (descriptor) => this.#reported(1, descriptor),
    };
  }

  async #request(node: NodeId, body: PeerRequest): Promise<PeerResponse> {
    if (body.type !== 'reportShard') throw new TypeError(body.type);
    await this.#reported(node, body.descriptor);
    return { type: 'shardTaken' };
  }

  #reported(to: number, { shard }: ShardDescriptor): Promise<void> {
    return new Promise((resolve, reject) => {
      this.reports.push({ to, shard, end: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  }

  async end(error?: Error): Promise<void> {
    this.reports.at(-1)?.end(error);
    for (let i = 0; i < 8; i++) await Promise.resolve();
  }

  /** The next look; what it reported, as `shard@node`. */
  look(): string[] {
    const before = this.reports.length;
    for (let i = 0; i < lookTicks; i++) this.#reports.tick();
    return this.reports.slice(before).map(({ to, shard }) => `${shard}@${to}`);
  }
}

function mapOf(...shards: readonly ShardDescriptor[]): ReadonlyMap<number, ShardDescriptor> {
  return new Map(shards.map((descriptor) => [descriptor.shard, descriptor]));
}

test('a leader reports what the map does not have yet, one shard at a time, until the map has it', async () => {
  const bench = new Bench([group(1, 2), group(2, 5), group(3, 3)], mapOf(group(1, 2), group(2, 4), group(3, 2)));
  expect(bench.look()).toEqual(['2@2']);
  expect(bench.look()).toEqual([]);
  await bench.end();
  // The map follows in its own time.
  expect(bench.look()).toEqual(['2@2']);
});

test('nothing is reported by who does not lead, of a shard that the map does not have, or without anyone to report to', () => {
  const bench = new Bench([group(1, 2)], mapOf(group(1, 1)));
  bench.leads = false;
  expect(bench.look()).toEqual([]);
  bench.leads = true;
  bench.leader = undefined;
  expect(bench.look()).toEqual([]);
  bench.leader = NodeId(1);
  expect(bench.look()).toEqual(['1@1']);
  expect(new Bench([group(1, 2)], mapOf()).look()).toEqual([]);
});

test('what is joint is over soon, and not reported', () => {
  const joint = group(1, 2);
  const configuration = { ...joint.configuration, votersOutgoing: [ReplicaId(1)], autoLeave: true };
  expect(new Bench([{ ...joint, configuration }], mapOf(group(1, 1))).look()).toEqual([]);
});

test('a report that fails is made again, to whoever leads by then; what is no such failure ends the node', async () => {
  const bench = new Bench([group(1, 2)], mapOf(group(1, 1)));
  expect(bench.look()).toEqual(['1@2']);
  await bench.end(new QuorateError('NOT_LEADER', 'no'));
  bench.leader = NodeId(3);
  expect(bench.look()).toEqual(['1@3']);
  const bug = new TypeError('a bug');
  await bench.end(bug);
  expect(bench.failures).toEqual([bug]);
});
