/**
 * Answers the requests of other nodes. What fails is answered with the error; what fails in a way that nobody foresaw
 * is a bug here, and stops the node. An answer fits a frame: of more results than that the rest is left to be asked for
 * again.
 */
import { QuorateError } from '../base/errors.js';
import type { NodeId, ShardId } from '../base/ids.js';
import type { Limits } from '../base/limits.js';
import type { OperationResult } from '../mvcc/operations.js';
import { validateOperation } from '../mvcc/validate.js';
import type { ShardMap } from '../placement/shard-map.js';
import type { LocalStatus, PeerRequest, PeerResponse, RequestFrame } from '../rpc/peer-messages.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import type { KvExecutor } from '../shard/kv-executor.js';
import { FittingResults } from './fitting-results.js';
import type { HostedShard } from './replicas/hosted-shard.js';
import { standingOf } from './membership/membership-check.js';
import { addressRule, isAddress } from './config/address.js';
import type { NodeWishes } from './membership/node-wishes.js';
import type { PlacementGroup } from './placement-group.js';
import type { ReplicaChanges } from './membership/replica-changes.js';
import type { Snapshots } from './snapshots/snapshots.js';
import { handedOn, type HandedOn } from './routing/relay.js';
import type { Router } from './routing/router.js';

export interface PeerRequestsOptions {
  readonly nodeId: NodeId;
  readonly request: (node: NodeId, body: PeerRequest, timeoutMs: number) => Promise<PeerResponse>;
  readonly limits: Limits;
  readonly shardMap: () => ShardMap;
  readonly executor: (shard: ShardDescriptor) => KvExecutor | undefined;
  readonly hosted: (shard: ShardId) => HostedShard | undefined;
  readonly router: Router;
  readonly placementLeader: Pick<PlacementGroup, 'timestamps' | 'register' | 'updateShard' | 'leaderNode' | 'voucher'>;
  readonly nodeWishes: () => Pick<NodeWishes, 'begin'>;
  readonly replicaChanges: () => Pick<ReplicaChanges, 'changeHere'>;
  readonly status: () => LocalStatus;
  readonly snapshots: Pick<Snapshots, 'answer'>;
  /** What this node believes of a shard's leader, for the asker. */
  readonly leaderOf: (shard: ShardDescriptor) => NodeId | undefined;
  /** Where a node listens, for an asker that has no registry: it joins, or is damaged. */
  readonly addressOf: (node: NodeId) => string | undefined;
  /** This node must stop. */
  readonly onFailure: (error: unknown) => void;
}

type Execute = Extract<PeerRequest, { type: 'execute' }>;
type ScanPageRequest = Extract<PeerRequest, { type: 'scanPage' }>;

export class PeerRequests {
  readonly #options: PeerRequestsOptions;

  constructor(options: PeerRequestsOptions) {
    this.#options = options;
  }

  handle(from: NodeId, request: RequestFrame, respond: (response: PeerResponse) => void): void {
    const { body, timeoutMs } = request;
    const onward = handedOn(from, request, this.#options);
    if (onward !== undefined) {
      void this.#handOn(onward, timeoutMs).then(respond);
      return;
    }
    if (body.type === 'execute') {
      this.#execute(body, timeoutMs, respond);
      return;
    }
    this.#answer(from, body).then(respond, (error: unknown) => {
      if (!(error instanceof QuorateError)) this.#options.onFailure(error);
      const failure = QuorateError.from(error);
      const leader = failure.code === 'NOT_LEADER' ? this.#leaderFor(body) : undefined;
      const asksOutside = (body.type === 'registerNode' || body.type === 'replaceNode') && leader !== undefined;
      respond(failed(failure, leader, asksOutside ? this.#options.addressOf(leader) : undefined));
    });
  }

  /** The answer is the leader's, whatever it says. Bounded as all requests are, of the asker's connection and to the leader's node. */
  async #handOn({ node, body }: HandedOn, timeoutMs: number): Promise<PeerResponse> {
    const { nodeId, request, onFailure } = this.#options;
    try {
      return await request(node, body, timeoutMs);
    } catch (thrown) {
      if (!(thrown instanceof QuorateError)) onFailure(thrown);
      const error = QuorateError.from(thrown);
      const { code, outcome, retryable, retryAfterMs, shard } = error;
      const message = `node ${nodeId} could not hand it on to node ${node}, which leads: ${error.message}`;
      return failed(new QuorateError(code, message, { outcome, retryable, retryAfterMs, shard, cause: error }));
    }
  }

  /** Who might take the request instead. */
  #leaderFor(body: Exclude<PeerRequest, Execute>): NodeId | undefined {
    const { shardMap, leaderOf, placementLeader } = this.#options;
    if (body.type === 'registerNode' || body.type === 'replaceNode') return placementLeader.leaderNode;
    if (body.type !== 'scanPage' && body.type !== 'changeMembers' && body.type !== 'changeMember') return undefined;
    const shard = shardMap().byId(body.shard);
    return shard === undefined ? undefined : leaderOf(shard);
  }

  async #answer(from: NodeId, body: Exclude<PeerRequest, Execute>): Promise<PeerResponse> {
    switch (body.type) {
      case 'scanPage':
        return { type: 'scannedPage', ...(await this.#scanPage(body)) };
      case 'timestamps': {
        const first = await this.#options.placementLeader.timestamps(body.count, { from, voucher: body.voucher });
        return { type: 'timestamps', first, count: body.count };
      }
      case 'registerNode': {
        const { node, storeId, clientAddress, peerAddress } = body;
        if (node !== from) throw new QuorateError('INVALID_ARGUMENT', `node ${from} cannot register node ${node}`);
        const wrong = [clientAddress, peerAddress].find((address) => !isAddress(address));
        if (wrong !== undefined) {
          throw new QuorateError('INVALID_ARGUMENT', `${JSON.stringify(wrong)} is no address: ${addressRule}`);
        }
        await this.#options.placementLeader.register({ id: node, storeId, clientAddress, peerAddress });
        return { type: 'registered' };
      }
      case 'askStanding': {
        const hosted = this.#options.hosted(body.shard);
        return { type: 'standing', group: standingOf(hosted, body.replica), leader: hosted?.replica.leaderNode };
      }
      case 'changeMembers':
      case 'changeMember':
        await this.#options.replicaChanges().changeHere(body);
        return { type: 'membersChanged' };
      case 'reportShard':
        await this.#options.placementLeader.updateShard(body.descriptor, body.isWanted);
        return { type: 'shardTaken' };
      case 'replaceNode':
        // Whoever names a directory says that it is its own.
        if (body.storeId !== undefined && body.node !== from) {
          throw new QuorateError(
            'INVALID_ARGUMENT',
            `node ${from} cannot say that the directory of node ${body.node} is damaged`,
          );
        }
        return this.#options.nodeWishes().begin(body);
      case 'removeNode':
        return this.#options.nodeWishes().begin(body);
      case 'nodeStatus':
        return { type: 'nodeStatus', status: this.#options.status() };
      case 'offerSnapshot':
      case 'readSnapshot':
        return this.#options.snapshots.answer(from, body);
    }
  }

  #scanPage({ shard: id, epoch, consistency, ...spec }: ScanPageRequest): ReturnType<KvExecutor['scanPage']> {
    const { shardMap, executor, limits } = this.#options;
    const shard = shardMap().byId(id);
    const here = shard === undefined ? undefined : executor(shard);
    if (here === undefined) throw noReplica(id);
    const bytesMax = Math.min(spec.bytesMax, limits.scanPageBytesMax);
    const recordsMax = Math.min(spec.recordsMax, limits.scanPageRecordsMax);
    return here.scanPage({ ...spec, bytesMax, recordsMax }, epoch, consistency);
  }

  #execute(
    { shard: id, epoch, operations }: Execute,
    timeoutMs: number,
    respond: (response: PeerResponse) => void,
  ): void {
    const { shardMap, router, leaderOf, limits } = this.#options;
    const known = shardMap().byId(id);
    if (known === undefined) {
      respond(failed(noReplica(id)));
      return;
    }
    if (operations.length > limits.batchOperationsMax) {
      const message = `${operations.length} operations in one request, more than batchOperationsMax, which is ${limits.batchOperationsMax}`;
      respond(failed(new QuorateError('INVALID_ARGUMENT', message)));
      return;
    }
    // The asker's epoch counts, not ours: the shard compares it with its own.
    const shard = { ...known, epoch };
    const fitting = new FittingResults(operations, limits.peerFrameBytesMax);
    operations.forEach((operation, i) => {
      const settle = (result: OperationResult): void => {
        const results = fitting.add(i, result);
        if (results === undefined) return;
        const [first] = results;
        if (first.type === 'failed' && results.every(isElsewhere)) respond(failed(first.error, leaderOf(known)));
        else respond({ type: 'executed', results });
      };
      const invalid = validateOperation(operation, limits);
      if (invalid === undefined) router.executeHere(shard, operation, timeoutMs, settle);
      else settle({ type: 'failed', error: invalid });
    });
  }
}

function failed(error: QuorateError, leader?: NodeId, leaderAddress?: string): PeerResponse {
  return { type: 'failed', error, leader, leaderAddress };
}

function noReplica(shard: ShardId): QuorateError {
  return new QuorateError('NOT_LEADER', `no replica of shard ${shard} here`, { shard });
}

function isElsewhere(result: OperationResult): boolean {
  return result.type === 'failed' && result.error.code === 'NOT_LEADER' && result.error.outcome === 'notApplied';
}
