import { expect } from 'vitest';
import type { QuorateError } from '../../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId, Term } from '../../../src/base/ids.js';
import { defaultLimits } from '../../../src/base/limits.js';
import type { Limits } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import type { Network } from '../../../src/env/network.js';
import { defaultRaftTiming } from '../../../src/node/options.js';
import { Peers } from '../../../src/node/peers/peers.js';
import type { PeerHandler } from '../../../src/node/peers/peer-handler.js';
import type { PeersOptions } from '../../../src/node/peers/peers.js';
import { storeFault } from '../../../src/placement/node-registry.js';
import type { NodeRecord } from '../../../src/placement/placement-format.js';
import { emptyPlacementState } from '../../../src/placement/placement-state.js';
import { runTurns } from '../../../src/platform/turns.js';
import type { PeerResponse, ShardMessage } from '../../../src/rpc/peer-messages.js';
import { MachineClock, SimClock } from '../../../src/sim/clock.js';
import { noSnapshots } from '../../../src/rpc/snapshot-traffic-codec.js';
import { SimLog } from '../../../src/sim/logger.js';
import { SimNetwork } from '../../../src/sim/network.js';
import { SimProcess } from '../../../src/sim/process.js';
import { Scheduler } from '../../../src/sim/scheduler.js';

export const address = (id: number): string => `node-${id}:7100`;
/** As on a node that knows these nodes to have joined, by their ids. */
export function faultOfStores(stores: ReadonlyMap<number, string>): PeersOptions['storeFault'] {
  return (hello, met) => {
    const nodes = [...stores].map(([id, storeId]): [NodeId, NodeRecord] => {
      return [NodeId(id), { id: NodeId(id), storeId, clientAddress: '', peerAddress: '' }];
    });
    return storeFault({ ...emptyPlacementState, nodes: new Map(nodes) }, hello, met);
  };
}

export const status: PeerResponse = {
  type: 'nodeStatus',
  status: { node: NodeId(2), pid: 1, softwareVersion: '1', replicas: [], logBytes: 1, snapshots: noSnapshots },
};

/** Nodes 1 and 2 on a simulated network. Node 2 answers requests when the test says so. */
export class Bench {
  readonly scheduler = new Scheduler(runTurns);
  readonly network = new SimNetwork(this.scheduler, { random: new Prng(1) });
  readonly log = new SimLog(this.scheduler);
  readonly raft: ShardMessage[] = [];
  readonly responds: ((response: PeerResponse) => void)[] = [];
  readonly unreachable: number[] = [];
  readonly failures: unknown[] = [];
  readonly processes = new Map<number, SimProcess>();

  async node(id: number, changes: Partial<PeersOptions> = {}): Promise<Peers> {
    const { peers, clock } = this.silent(id, changes);
    await this.scheduler.complete(peers.listen(address(id)), this.scheduler.nowMs + 1000);
    const tick = (): void => {
      clock.after(50, () => {
        peers.tick();
        tick();
      });
    };
    tick();
    return peers;
  }

  /** That neither listens nor ticks. */
  silent(id: number, changes: Partial<PeersOptions> = {}): { peers: Peers; clock: SimClock } {
    const { clock, network } = this.#world(id);
    const peers = new Peers({
      clusterId: 'c-1',
      nodeId: NodeId(id),
      storeId: `store-${id}`,
      network,
      clock,
      logger: this.log.logger({ on: id }),
      random: new Prng(id),
      limits: defaultLimits,
      timing: defaultRaftTiming,
      peerAddress: address(id),
      addressOf: (node) => address(node),
      storeFault: faultOfStores(new Map()),
      handler: this.handler(),
      ...changes,
    });
    return { peers, clock };
  }

  /** What made a node learn that it must not run. */
  readonly refused: QuorateError[] = [];

  handler(changes: Partial<PeerHandler> = {}): PeerHandler {
    return {
      onRaft: (_from, messages) => this.raft.push(...messages),
      onRequest: (_from, _request, respond) => this.responds.push(respond),
      onReachable: () => undefined,
      onUnreachable: (node) => this.unreachable.push(node),
      onRefused: (error) => this.refused.push(error),
      onFailure: (error) => this.failures.push(error),
      ...changes,
    };
  }

  /** Whether what is sent now arrives. */
  async reaches(peers: Peers, node: number): Promise<boolean> {
    const before = this.raft.length;
    peers.sendRaft(NodeId(node), [message]);
    await this.run(10);
    return this.raft.splice(before).length > 0;
  }

  /** A machine that speaks as the test says. */
  stranger(id = 9): Network {
    return this.#world(id).network;
  }

  #world(id: number): { clock: SimClock; network: Network } {
    const process = new SimProcess(this.scheduler, `node-${id}`);
    this.processes.set(id, process);
    const clock = new SimClock(this.scheduler, process, new MachineClock(this.scheduler));
    return { clock, network: this.network.mount(process) };
  }

  run(ms: number): Promise<void> {
    return this.scheduler.run(this.scheduler.nowMs + ms);
  }

  /** Two nodes, of which the first is connected to the second. */
  async pair(limits: Partial<Limits> = {}, changes: Partial<PeersOptions> = {}): Promise<Peers> {
    const first = await this.node(1, { limits: { ...defaultLimits, ...limits } });
    await this.node(2, changes);
    first.sendRaft(NodeId(2), []);
    await this.run(100);
    expect(await this.reaches(first, 2)).toBe(true);
    return first;
  }

  reasons(): string[] {
    return this.log.lines
      .filter(({ level }) => level === 'warn')
      .map(({ fields }) => String(fields.reason ?? fields.error));
  }
}

/** How the request ended so far. */
export function outcomeOf(promise: Promise<PeerResponse>): { ended: unknown } {
  const outcome: { ended: unknown } = { ended: undefined };
  promise.then(
    (response) => (outcome.ended = response),
    (error: unknown) => (outcome.ended = error),
  );
  return outcome;
}

export const message: ShardMessage = {
  shard: ShardId(4),
  message: { type: 'timeoutNow', from: ReplicaId(1), to: ReplicaId(2), term: Term(3) },
};
