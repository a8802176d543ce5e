/** What a node hands over whose log does not sync, and to whom. */
import { beforeEach, describe, expect, test } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.js';
import { LogIndex, NodeId, ReplicaId, ShardId } from '../../../src/base/ids.js';
import { silentLogger } from '../../../src/env/logger.js';
import { StalledLog, type StallingReplica } from '../../../src/node/replicas/stalled-log.js';
import { createConfiguration } from '../../../src/raft/config.js';
import type { RaftStatus } from '../../../src/raft/status.js';

const ticksMax = 20;

/** Of nodes 1, 2 and 3, by what followers 2 and 3 have of entries 1 to 10; this one has stored those to 5. */
interface Led {
  readonly isLeader: boolean;
  readonly match: readonly [number, number];
  readonly alive: readonly [boolean, boolean];
  readonly learner?: 2 | 3;
  readonly isHandingOver?: boolean;
  /** That leads instead. */
  readonly leader?: 2 | 3;
  /** As far as this one knows. */
  readonly commit?: number;
}

let underWay: number | undefined;
/** Shard and node, one after the other. */
let handedOver: string[];

beforeEach(() => {
  underWay = undefined;
  handedOver = [];
});

const ids = [1, 2, 3];

/** A class, as the real one is: its methods need their object. */
class TestReplica implements StallingReplica {
  readonly shard: ShardId;
  readonly #led: Led;

  constructor(shard: number, led: Led) {
    this.shard = ShardId(shard);
    this.#led = led;
  }

  get isLeader(): boolean {
    return this.#led.isLeader;
  }

  get isHandingOver(): boolean {
    return this.#led.isHandingOver ?? false;
  }

  get leaderNode(): NodeId | undefined {
    const leader = this.#led.isLeader ? 1 : this.#led.leader;
    return leader && NodeId(leader);
  }

  get descriptor(): StallingReplica['descriptor'] {
    const replicas = ids.map((id) => ({ replica: ReplicaId(id), node: NodeId(id), storeId: `store-${id}` }));
    const epoch = { range: 1, membership: 1 };
    return {
      shard: this.shard,
      start: emptyBytes,
      end: undefined,
      epoch,
      replicas,
    } as unknown as StallingReplica['descriptor'];
  }

  status(): RaftStatus {
    const { match, alive, learner, commit } = this.#led;
    const all = ids.map((id) => ReplicaId(id));
    const learners = all.filter((id) => id === learner);
    const configuration = createConfiguration({ voters: all.filter((id) => id !== learner), learners });
    const followers = [0, 1].map((i) => ({
      replica: all[i + 1],
      matchIndex: LogIndex(match[i]),
      isAlive: alive[i],
    }));
    const commitIndex = LogIndex(commit ?? 5);
    return { stableIndex: LogIndex(5), commitIndex, configuration, followers } as unknown as RaftStatus;
  }

  transferLeadership(to: NodeId): boolean {
    handedOver.push(`${this.shard} to ${to}`);
    return true;
  }
}

const replica = (shard: number, led: Led): StallingReplica => new TestReplica(shard, led);

function stalledLog(...replicas: StallingReplica[]): StalledLog {
  const shards = replicas.map((each) => ({ replica: each }));
  return new StalledLog({ underWay: () => underWay, shards: () => shards, ticksMax, logger: silentLogger });
}

function tick(log: StalledLog, count: number): string[] {
  for (let i = 0; i < count; i++) log.tick();
  return handedOver.splice(0);
}

const both = [true, true] as const;
const waiting: Led = { isLeader: true, match: [10, 7], alive: both };
const idle: Led = { isLeader: true, match: [5, 5], alive: both };

describe('when', () => {
  test('the log is busy with one thing for so many ticks', () => {
    const log = stalledLog(replica(1, waiting));
    expect(tick(log, 100)).toEqual([]);
    underWay = 7;
    expect(tick(log, ticksMax)).toEqual([]);
    expect(tick(log, 1)).toEqual(['1 to 2']);
  });

  test('not while it goes on, however slowly', () => {
    const log = stalledLog(replica(1, waiting));
    for (underWay = 0; underWay < 10; underWay++) expect(tick(log, ticksMax)).toEqual([]);
  });

  test('again at the next tick, where nobody has taken over, until it syncs', () => {
    const log = stalledLog(replica(1, waiting));
    underWay = 7;
    tick(log, ticksMax + 1);
    expect(tick(log, 2)).toEqual(['1 to 2', '1 to 2']);
    underWay = 8;
    expect(tick(log, ticksMax)).toEqual([]);
  });
});

describe('what, and to whom', () => {
  function after(...replicas: StallingReplica[]): string[] {
    underWay = 7;
    return tick(stalledLog(...replicas), ticksMax + 1);
  }

  test.each<[string, Led[], string[]]>([
    ['to whoever has stored most', [{ ...waiting, match: [8, 9] }], ['1 to 3']],
    ['not to the dead', [{ ...waiting, alive: [false, true] }], ['1 to 3']],
    ['not to who does not vote', [{ ...waiting, learner: 2 }], ['1 to 3']],
    ['nothing where nobody has stored more', [idle, idle], []],
    ['nothing where only the dead have', [{ ...waiting, match: [10, 5], alive: [false, true] }], []],
    ['what is idle, too, to where another shard shows that logs sync', [waiting, idle], ['1 to 2', '2 to 2']],
    ['that is shown by a shard that is being handed over', [{ ...waiting, isHandingOver: true }, idle], ['2 to 2']],
    [
      'and only there',
      [
        { ...waiting, match: [5, 10] },
        { ...idle, match: [5, 4] },
      ],
      ['1 to 3', '2 to 3'],
    ],
    ['nothing that others lead', [waiting, { ...idle, isLeader: false }], ['1 to 2']],
    [
      'what is idle, to who leads another shard, of which a majority has stored more',
      [idle, { ...idle, isLeader: false, leader: 3, commit: 7 }],
      ['1 to 3'],
    ],
    ['nothing where no more is committed there', [idle, { ...idle, isLeader: false, leader: 3 }], []],
    ['nothing where nobody is known to lead there', [idle, { ...idle, isLeader: false, commit: 7 }], []],
  ])('%s', (_, led, wanted) => {
    expect(after(...led.map((each, i) => replica(i + 1, each)))).toEqual(wanted);
  });

  test('what was shown counts for as long as the log is stalled', () => {
    underWay = 7;
    let isLeader = true;
    const first = replica(1, waiting);
    Object.defineProperty(first, 'isLeader', { get: () => isLeader });
    const log = stalledLog(first, replica(2, idle));
    tick(log, ticksMax + 1);
    isLeader = false;
    expect(tick(log, 1)).toEqual(['2 to 2']);
    underWay = 8;
    tick(log, 1);
    expect(tick(log, ticksMax)).toEqual([]);
  });
});
