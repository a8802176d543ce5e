/**
 * A node, put together: everything but the gRPC server and the process around it. It sees the world only through the
 * `Env` that it is given, so the simulator runs the same code.
 */
import { errorOf, QuorateError } from '../base/errors.js';
import { placementShardId } from '../base/ids.js';
import type { NodeId } from '../base/ids.js';
import { deferred } from '../base/promises.js';
import type { Timer } from '../env/clock.js';
import type { Env } from '../env/env.js';
import type { Operation, OperationResult, RequestId } from '../mvcc/operations.js';
import { firstShardMap, placementDescriptor } from '../placement/bootstrap.js';
import { isGone, storeFault, storeInUse } from '../placement/node-registry.js';
import type { PlacementState } from '../placement/placement-state.js';
import type {
  AdminBackend,
  ClusterStatus,
  KvBackend,
  ScanPage,
  ScanRequest,
  ShardMapView,
  WantedReplicas,
} from '../rpc/backend.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import { KvExecutor } from '../shard/kv-executor.js';
import { CommonStarts } from '../shard/common-starts.js';
import { PageReads } from '../shard/page-reads.js';
import { Admin, type ProcessFacts } from './admin.js';
import { AssignedShards } from './replicas/assigned-shards.js';
import { noteDamage } from './directory/damage-note.js';
import type { Identity } from './directory/identity.js';
import type { ReplicaObserver } from '../shard/replica-host.js';
import { openDirectory } from './directory/open-directory.js';
import type { NodeOptions } from './options.js';
import { PeerRequests } from './peer-requests.js';
import { Peers } from './peers/peers.js';
import { PlacementGroup } from './placement-group.js';
import { Router } from './routing/router.js';
import { Scanner } from './routing/scanner.js';
import type { ShardHost } from './replicas/shard-host.js';
import { Snapshots, type SnapshotStats } from './snapshots/snapshots.js';
import { ShardNodes } from './routing/shard-nodes.js';
import { TimestampClient } from './routing/timestamp-client.js';
import { Upkeep } from './upkeep.js';

/** Election timeouts without a leader, after which a replica asks whether it belongs to its group still. */
const silentTimeouts = 4;

export class Node implements KvBackend, AdminBackend {
  readonly options: NodeOptions;
  readonly identity: Identity;
  readonly host: ShardHost;
  readonly #env: Env;
  readonly #admin: Admin;
  readonly #peers: Peers;
  readonly #snapshots: Snapshots;
  readonly #router: Router;
  readonly #scanner: Scanner;
  readonly #placement: PlacementGroup;
  readonly #assigned: AssignedShards;
  readonly #stopped = deferred<Error | undefined>();
  readonly #requests: PeerRequests;
  readonly #upkeep: Upkeep;
  #peerAddress = '';
  #timer: Timer | undefined;
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    env: Env,
    options: NodeOptions,
    parts: { facts: ProcessFacts; identity: Identity; host: ShardHost },
  ) {
    this.#env = env;
    this.options = options;
    this.identity = parts.identity;
    this.host = parts.host;
    const { clock, random, logger, network } = env;
    const { nodeId, limits, cluster } = options;

    this.#peers = new Peers({
      ...this.identity,
      network,
      clock,
      logger,
      random: random.split('peers'),
      limits,
      timing: options.raft,
      peerAddress: options.peerAddress,
      addressOf: (node) => this.#addressOf(node),
      storeFault: (hello, met) => storeFault(this.#placement.state, hello, met),
      handler: {
        onRaft: (from, messages) => this.host.step(from, messages),
        onRequest: (from, request, respond) => this.#requests.handle(from, request, respond),
        onUnreachable: (node) => this.host.peerUnreachable(node),
        onReachable: (node) => this.host.peerReachable(node),
        onRefused: (error) => this.#onRefused(error),
        onFailure: (error) => this.#failBy(error),
      },
    });
    this.#snapshots = new Snapshots({
      env,
      limits,
      storeId: this.identity.storeId,
      host: this.host,
      request: this.#peers.request.bind(this.#peers),
      requestBulk: this.#peers.requestBulk.bind(this.#peers),
      onFailure: (error) => this.fail(error),
    });
    this.host.snapshots = this.#snapshots;
    this.host.sendRaft = (node, messages) => this.#peers.sendRaft(node, messages);
    const firstNodes = cluster.nodes.map(({ id }) => id);
    const { initialShards: shardCount, replicationFactor } = cluster;
    const onFailure = (error: unknown): void => this.#failBy(error);
    this.#placement = new PlacementGroup({
      host: this.host,
      clock,
      logger,
      firstMap: firstShardMap({ nodes: firstNodes, shardCount, replicationFactor }),
      onChange: (state) => this.#placementChanged(state),
      onFailure,
    });
    const request = this.#peers.request.bind(this.#peers);
    const timestamps = new TimestampClient({
      clock,
      logger,
      nodeId,
      placement: this.#placement,
      peers: this.#peers,
      waitingMax: limits.nodeOperationsInFlightMax,
    });
    const pageReads = new PageReads(limits.scansInFlightMax, clock);
    const ofAllShards = { timestamps, clock, limits, logger, space: this.host, pageReads, starts: new CommonStarts() };
    this.#assigned = new AssignedShards({
      nodeId,
      host: this.host,
      clock,
      newExecutor: (replica) => new KvExecutor(replica, ofAllShards),
      onFailure: (error) => this.fail(error),
    });
    const isReachable = this.#peers.isReachable.bind(this.#peers);
    const leaderOf = (shard: ShardDescriptor): NodeId | undefined => this.#assigned.leaderOf(shard);
    // That of the placement group is made at the start, as it was formed; so one that is missing is another.
    this.host.storeOf = (node) => storeInUse(this.#placement.state, node);
    this.host.mayBeMade = (shard, replica) => shard === placementShardId || this.#assigned.mayBeMade(shard, replica);
    this.#admin = new Admin({
      identity: this.identity,
      facts: parts.facts,
      clock,
      initialNodes: cluster.nodes,
      founders: placementDescriptor(firstNodes).replicas.map(({ node }) => node),
      host: this.host,
      snapshots: this.#snapshots,
      placement: this.#placement,
      leaderOf,
      isReachable,
      request,
      logger,
      onFailure,
    });
    const shardMap = (): PlacementState['shardMap'] => this.#placement.state.shardMap;
    const executor = (shard: ShardDescriptor): KvExecutor | undefined => this.#assigned.executor(shard);
    const shardNodes = new ShardNodes({ nodeId, clock, executor, isReachable, request });
    const common = { clock, limits, shardMap, executor, shardNodes };
    this.#router = new Router({ ...common, nodeId, random: random.split('router') });
    this.#scanner = new Scanner({ ...common, random: random.split('scanner'), timestamps });
    this.#requests = new PeerRequests({
      nodeId,
      request,
      limits,
      shardMap,
      executor,
      hosted: (shard) => this.host.shard(shard),
      router: this.#router,
      placementLeader: this.#placement,
      nodeWishes: () => this.#admin.nodeWishes,
      replicaChanges: () => this.#admin.replicaChanges,
      status: () => this.#admin.localStatus(),
      leaderOf,
      addressOf: (node) => this.#addressOf(node),
      snapshots: this.#snapshots,
      onFailure,
    });
    const { clientAddress, peerAddress } = options;
    this.#upkeep = new Upkeep({
      self: { id: nodeId, storeId: this.identity.storeId, clientAddress, peerAddress },
      firstNodes,
      host: this.host,
      assigned: this.#assigned,
      placement: this.#placement,
      request,
      refusedBy: () => this.#peers.refusedBy,
      onAddress: (node, address) => this.#peers.told(node, address),
      logger,
      silentTicksMax: silentTimeouts * options.raft.electionTicksMax,
      onRefused: (error) => this.fail(error),
      onFailure,
    });
  }

  /** Opens the data directory and joins the others. Throws what is wrong with directory, address or configuration. */
  static async start(env: Env, options: NodeOptions, facts: ProcessFacts, observer?: ReplicaObserver): Promise<Node> {
    const { identity, host } = await openDirectory(env, options, observer);
    let node: Node | undefined;
    try {
      await host.create(placementDescriptor(options.cluster.nodes.map(({ id }) => id)));
      node = new Node(env, options, { facts, identity, host });
      await node.#begin();
      return node;
    } catch (error) {
      // A node that fails while it starts closes what its start still uses: what failed first is the reason.
      if (node !== undefined) node.#failure ??= errorOf(error);
      await (node?.close() ?? host.close());
      throw (await node?.stopped) ?? error;
    }
  }

  async #begin(): Promise<void> {
    this.host.onFailure = (error) => this.fail(error);
    this.#assigned.begin();
    await this.#placement.load();
    this.#peerAddress = await this.#peers.listen(this.options.peerListen);
    for (const { id } of this.options.cluster.nodes) if (id !== this.identity.nodeId) this.#peers.connect(id);
    this.#planTick();
  }

  /** `host:port` of the peer port, as bound. */
  get peerAddress(): string {
    return this.#peerAddress;
  }

  // ---- time

  /** A long turn, or a process that got no processor, makes one late; those that it left out are not made up for. */
  #planTick(): void {
    const { clock } = this.#env;
    const { tickMs } = this.options.raft;
    const plannedMs = clock.monotonicMs();
    this.#timer = clock.after(tickMs, () => {
      this.#planTick();
      this.host.tick(Math.max(1, Math.round((clock.monotonicMs() - plannedMs) / tickMs)));
      this.#peers.tick();
      this.#snapshots.tick();
      this.#router.tick();
      this.#upkeep.tick();
      this.#admin.tick();
    });
  }

  // ---- the other nodes

  /**
   * A node that has joined with this very directory has met a stranger: no reason to stop. Nor has one that came in place of another, which
   * the cluster has retired, and meets who has not heard of that yet. Unless it is told that the directory is
   * out of use: nobody knows its id who has not been told by the cluster.
   */
  #onRefused(error: QuorateError): void {
    const { nodeId, storeId, replaces } = this.identity;
    const isAwaited = replaces !== undefined || this.#placement.state.nodes.get(nodeId)?.storeId === storeId;
    if (error.code === 'NODE_RETIRED' || error.code === 'NODE_REMOVED' || !isAwaited) this.fail(error);
  }

  #placementChanged({ nodes, shardMap }: PlacementState): void {
    for (const node of nodes.keys()) if (node !== this.identity.nodeId) this.#peers.connect(node);
    this.#assigned.update(shardMap.shards);
  }

  #addressOf(node: NodeId): string | undefined {
    const { state } = this.#placement;
    const configured = this.options.cluster.nodes.find(({ id }) => id === node);
    return state.nodes.get(node)?.peerAddress ?? (isGone(state, node) ? undefined : configured?.peerAddress);
  }

  /** Resolves to whether the cluster is formed and every shard has a leader that this node knows, within `msMax`. */
  async ready(msMax: number): Promise<boolean> {
    await this.#waitWhile(() => !this.isReady, msMax);
    return this.isReady;
  }

  get isReady(): boolean {
    return this.#assigned.haveLeaders(this.#placement.state.shardMap.shards);
  }

  /** What Raft snapshots have moved since the start. */
  get snapshotStats(): SnapshotStats {
    return this.#snapshots.stats;
  }

  // ---- KvBackend

  submit(operation: Operation, timeoutMs: number, done: (result: OperationResult) => void): void {
    this.#router.submit(operation, Math.min(timeoutMs, this.options.requestTimeoutMsMax), done);
  }

  scan(request: ScanRequest, signal: AbortSignal): AsyncIterable<ScanPage> {
    return this.#scanner.scan(request, signal);
  }

  newRequestId(): RequestId {
    return this.#router.newRequestId();
  }

  // ---- AdminBackend

  status(timeoutMs: number): Promise<ClusterStatus> {
    return this.#admin.status(timeoutMs);
  }

  shardMap(): ShardMapView {
    return this.#admin.shardMap();
  }

  changeReplicas(wanted: WantedReplicas, timeoutMs: number): Promise<void> {
    return this.#admin.changeReplicas(wanted, timeoutMs);
  }

  replaceNode(node: NodeId, timeoutMs: number): Promise<void> {
    return this.#admin.replaceNode(node, timeoutMs);
  }

  removeNode(node: NodeId, timeoutMs: number): Promise<void> {
    return this.#admin.removeNode(node, timeoutMs);
  }

  // ---- end

  /** Resolves when the node has failed or was closed: with what made it stop, or undefined. */
  get stopped(): Promise<Error | undefined> {
    return this.#stopped.promise;
  }

  #failBy(thrown: unknown): void {
    this.fail(errorOf(thrown));
  }

  /** The node cannot go on: it stops at once, answering nothing more. */
  fail(error: Error): void {
    if (this.#failure !== undefined || this.#closing !== undefined) return;
    this.#failure = error;
    this.#env.logger.error('the node stops', { error: error.message, stack: error.stack });
    void this.close();
  }

  /**
   * Hands every leadership over that somebody takes, while operations go on, and takes none any more. Each is tried once:
   * where all nodes stop, nobody takes it. Ends by itself after `msMax`.
   */
  async handOver(msMax: number): Promise<void> {
    this.#upkeep.stopBalance();
    this.host.retire();
    await this.#waitWhile(() => this.host.isHandingOver, msMax);
  }

  /** Accepts no more operations and lets those under way end, for at most `msMax`. */
  async drain(msMax: number): Promise<void> {
    this.#router.stop();
    this.#admin.close();
    await this.#waitWhile(() => this.#router.pendingCount > 0, msMax);
  }

  async #waitWhile(condition: () => boolean, msMax: number): Promise<void> {
    const { clock } = this.#env;
    const untilMs = clock.monotonicMs() + msMax;
    while (this.#closing === undefined && clock.monotonicMs() < untilMs && condition()) {
      await new Promise<void>((resolve) => clock.after(this.options.raft.tickMs, resolve));
    }
  }

  /**
   * Ends the node. What is on disk stays as after a crash: everything acknowledged is there. Never rejects: what goes
   * wrong on the way, as on a disk that fails, is what {@link stopped} gives, if nothing did before.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    this.#assigned.close();
    this.#upkeep.close();
    this.#admin.close();
    this.#router.close();
    this.#scanner.close();
    this.#snapshots.stop();
    try {
      await this.#peers.close();
      await this.host.close();
      await this.#snapshots.close();
    } catch (thrown) {
      const error = QuorateError.from(thrown);
      this.#env.logger.error('the node did not end in good order', { error: error.message });
      this.#failure ??= error;
    }
    await noteDamage(this.#env, this.options, this.#failure);
    this.#stopped.resolve(this.#failure);
  }
}
