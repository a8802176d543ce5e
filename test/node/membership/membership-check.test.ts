import { describe, expect, test } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.js';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId } from '../../../src/base/ids.js';
import { silentLogger } from '../../../src/env/logger.js';
import type { HostedShard } from '../../../src/node/replicas/hosted-shard.js';
import { MembershipCheck, standingOf } from '../../../src/node/membership/membership-check.js';
import type { Departure } from '../../../src/node/replicas/shard-host.js';
import type { PeerRequest, PeerResponse } from '../../../src/rpc/peer-messages.js';
import type { ShardDescriptor } from '../../../src/shard/descriptor.js';
import { newGroup, unknownGroup, type GroupDescriptor } from '../../../src/shard/group-descriptor.js';
import type { Standing } from '../../../src/shard/group.js';

const shard = ShardId(5);
const lookTicks = 20;
const silentTicksMax = 40;

/** A shard with replica 1 on node 1, and so on. */
function members(nodes: readonly number[], membership = 1): ShardDescriptor {
  const replicas = nodes.map((node) => ({ replica: ReplicaId(node), node: NodeId(node) }));
  return { shard, start: emptyBytes, end: emptyBytes, epoch: { membership, range: 1 }, replicas };
}

interface Hosted {
  readonly descriptor: GroupDescriptor;
  readonly standing: Standing;
  readonly replicaId: ReplicaId;
  readonly messenger: { silentTicks: number };
}

function hosted(changes: Partial<Hosted> = {}): HostedShard & { readonly replica: Hosted } {
  const replica = {
    shard,
    replicaId: ReplicaId(1),
    descriptor: newGroup(members([1, 2, 3])),
    standing: 'member',
    messenger: { silentTicks: 0 },
    ...changes,
  };
  return { replica } as unknown as HostedShard & { readonly replica: Hosted };
}

type Group = Extract<PeerResponse, { type: 'standing' }>['group'];

/** Node 1, with one replica. The others answer when the test says so. */
class Bench {
  readonly asked: { readonly node: number; readonly body: PeerRequest; readonly settle: (group: Group) => void }[] = [];
  readonly departures: Departure[] = [];
  readonly failures: unknown[] = [];
  refusal: Error | undefined;
  readonly check: MembershipCheck;

  constructor(shards: readonly HostedShard[], known?: ShardDescriptor) {
    this.check = new MembershipCheck({
      nodeId: NodeId(1),
      logger: silentLogger,
      shards: () => shards,
      shardInMap: () => known,
      depart: (_hosted, why) => this.departures.push(why),
      request: (node, body) => this.#request(node, body),
      silentTicksMax,
      onFailure: (error) => this.failures.push(error),
    });
  }

  #request(node: NodeId, body: PeerRequest): Promise<PeerResponse> {
    if (this.refusal !== undefined) {
      this.asked.push({ node, body, settle: () => undefined });
      return Promise.reject(this.refusal);
    }
    return new Promise((resolve) => {
      this.asked.push({ node, body, settle: (group) => resolve({ type: 'standing', group, leader: undefined }) });
    });
  }

  /** The next look; returns the nodes that it asked. */
  async look(): Promise<number[]> {
    const before = this.asked.length;
    for (let i = 0; i < lookTicks; i++) this.check.tick();
    await turn();
    return this.asked.slice(before).map(({ node }) => node);
  }

  /** The last one that was asked says this. */
  async say(group: Group): Promise<void> {
    this.asked.at(-1)?.settle(group);
    await turn();
  }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

const silent = { silentTicks: silentTicksMax };
const gone: Group = { isMember: false, nextReplica: ReplicaId(4) };

describe('a replica asks whether it still belongs', () => {
  test('not while it hears its leader and the map has it', async () => {
    const bench = new Bench([hosted({ messenger: { silentTicks: silentTicksMax - 1 } })], members([1, 2, 3]));
    expect(await bench.look()).toEqual([]);
  });

  test('when it has heard no leader for long: the others in turn, one at a time', async () => {
    const bench = new Bench([hosted({ messenger: silent })], members([1, 2, 3, 4], 2));
    expect(await bench.look()).toEqual([2]);
    expect(bench.asked[0].body).toEqual({ type: 'askStanding', shard, replica: 1 });
    expect(await bench.look()).toEqual([]);
    await bench.say(undefined);
    expect(await bench.look()).toEqual([3]);
    await bench.say({ isMember: true, nextReplica: ReplicaId(5) });
    // Whom only the map has, too; then from the beginning.
    expect(await bench.look()).toEqual([4]);
    await bench.say(undefined);
    expect(await bench.look()).toEqual([2]);
    expect(bench.departures).toEqual([]);
  });

  test('when a newer map does not have it, or somebody speaks to a newer one', async () => {
    expect(await new Bench([hosted()], members([2, 3], 2)).look()).toHaveLength(1);
    // One that this replica is ahead of says nothing.
    expect(await new Bench([hosted()], members([2, 3], 1)).look()).toEqual([]);
    const bench = new Bench([hosted()], members([1, 2, 3]));
    bench.check.superseded(shard, ReplicaId(1));
    expect(await bench.look()).toEqual([]);
    bench.check.superseded(shard, ReplicaId(4));
    expect(await bench.look()).toEqual([2]);
  });

  test('of eight shards at a time', async () => {
    const bench = new Bench(
      Array.from({ length: 12 }, (_, i) => {
        const { replica } = hosted({ messenger: silent });
        return { replica: { ...replica, shard: ShardId(i + 1) } } as unknown as HostedShard;
      }),
    );
    expect(await bench.look()).toHaveLength(8);
  });

  test('again, after nobody answered; what is no such failure ends the node', async () => {
    const bench = new Bench([hosted({ messenger: silent })]);
    bench.refusal = new QuorateError('UNAVAILABLE', 'no');
    expect(await bench.look()).toEqual([2]);
    expect(await bench.look()).toEqual([3]);
    expect(bench.failures).toEqual([]);
    bench.refusal = new TypeError('a bug');
    await bench.look();
    expect(bench.failures).toEqual([bench.refusal]);
  });
});

describe('a replica goes', () => {
  test('by the word of one that has applied its removal; the next may be on its node already', async () => {
    const bench = new Bench([hosted({ messenger: silent })]);
    await bench.look();
    await bench.say(gone);
    expect(bench.departures).toEqual([{ type: 'removed', nextReplica: 2 }]);
  });

  test('never by the word of one that has not heard of it yet, unless it is empty and was silent for very long', async () => {
    const unheardOf: Group = { isMember: false, nextReplica: ReplicaId(1) };
    const whole = hosted({ messenger: { silentTicks: 1000 * silentTicksMax } });
    const bench = new Bench([whole]);
    await bench.look();
    await bench.say(unheardOf);
    expect(bench.departures).toEqual([]);
    for (const [times, departures] of [
      [9, []],
      [10, [{ type: 'unwanted' }]],
    ] as const) {
      const messenger = { silentTicks: times * silentTicksMax };
      const empty = hosted({ messenger, standing: 'unfilled', descriptor: unknownGroup(shard) });
      const other = new Bench([empty], members([2, 3]));
      await other.look();
      await other.say(unheardOf);
      expect(other.departures).toEqual(departures);
    }
  });

  test('not after the end', async () => {
    const bench = new Bench([hosted({ messenger: silent })]);
    await bench.look();
    bench.check.close();
    await bench.say(gone);
    expect(bench.departures).toEqual([]);
    expect(await bench.look()).toEqual([]);
  });
});

describe('asked about a third, a node', () => {
  test('says what its replica has applied', () => {
    expect(standingOf(hosted(), ReplicaId(2))).toEqual({ isMember: true, nextReplica: 4 });
    expect(standingOf(hosted(), ReplicaId(4))).toEqual({ isMember: false, nextReplica: 4 });
  });

  test('says nothing without a replica, or with one that knows nothing or has left itself', () => {
    expect(standingOf(undefined, ReplicaId(2))).toBeUndefined();
    for (const standing of ['unfilled', 'removed'] as const)
      expect(standingOf(hosted({ standing }), ReplicaId(2))).toBeUndefined();
  });
});
