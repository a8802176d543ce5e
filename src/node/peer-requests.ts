/** Answers the requests of other nodes. What fails is answered with the error; nothing is thrown. */
import { QuorateError } from '../base/errors.js';
import type { NodeId } from '../base/ids.js';
import type { Operation, OperationResult } from '../mvcc/operations.js';
import type { PlacementLeader } from '../placement/placement-leader.js';
import type { ShardMap } from '../placement/shard-map.js';
import type { LocalStatus, PeerRequest, PeerResponse, RequestFrame } from '../rpc/peer-messages.js';
import type { ShardDescriptor } from '../shard/descriptor.js';
import type { KvExecutor } from '../shard/kv-executor.js';
import type { Router } from './router.js';

export interface PeerRequestsOptions {
  readonly shardMap: () => ShardMap;
  readonly executor: (shard: ShardDescriptor) => KvExecutor | undefined;
  readonly router: Router;
  readonly placementLeader: PlacementLeader;
  readonly status: () => LocalStatus;
  /** What this node believes of a shard's leader, for the asker. */
  readonly leaderOf: (shard: ShardDescriptor) => NodeId | undefined;
}

type Execute = Extract<PeerRequest, { type: 'execute' }>;
type ScanPageRequest = Extract<PeerRequest, { type: 'scanPage' }>;

export class PeerRequests {
  readonly #options: PeerRequestsOptions;

  constructor(options: PeerRequestsOptions) {
    this.#options = options;
  }

  handle(request: RequestFrame, respond: (response: PeerResponse) => void): void {
    const { body, timeoutMs } = request;
    if (body.type === 'execute') {
      this.#execute(body, timeoutMs, respond);
      return;
    }
    this.#answer(body).then(respond, (error: unknown) => {
      respond({ type: 'failed', error: QuorateError.from(error), leader: undefined });
    });
  }

  async #answer(body: Exclude<PeerRequest, Execute>): Promise<PeerResponse> {
    switch (body.type) {
      case 'scanPage':
        return { type: 'scannedPage', ...(await this.#scanPage(body)) };
      case 'timestamps': {
        const first = await this.#options.placementLeader.timestamps(body.count);
        return { type: 'timestamps', first, count: body.count };
      }
      case 'registerNode': {
        const { node, storeId, clientAddress, peerAddress } = body;
        await this.#options.placementLeader.register({ id: node, storeId, clientAddress, peerAddress });
        return { type: 'registered' };
      }
      case 'nodeStatus':
        return { type: 'nodeStatus', status: this.#options.status() };
    }
  }

  #scanPage({ shard: id, epoch, consistency, ...spec }: ScanPageRequest): ReturnType<KvExecutor['scanPage']> {
    const shard = this.#options.shardMap().byId(id);
    const executor = shard === undefined ? undefined : this.#options.executor(shard);
    if (executor === undefined) throw new QuorateError('NOT_LEADER', `no replica of shard ${id} here`, { shard: id });
    return executor.scanPage(spec, epoch, consistency);
  }

  #execute(
    { shard: id, epoch, operations }: Execute,
    timeoutMs: number,
    respond: (response: PeerResponse) => void,
  ): void {
    const { shardMap, router, leaderOf } = this.#options;
    const known = shardMap().byId(id);
    if (known === undefined) {
      const error = new QuorateError('NOT_LEADER', `no replica of shard ${id} here`, { shard: id });
      respond({ type: 'failed', error, leader: undefined });
      return;
    }
    // The asker's epoch counts, not ours: the shard compares it with its own.
    const shard = { ...known, epoch };
    const results = new Array<OperationResult>(operations.length);
    let open = operations.length;
    operations.forEach((operation: Operation, i) => {
      router.executeHere(shard, operation, timeoutMs, (result) => {
        results[i] = result;
        if (--open > 0) return;
        const [first] = results;
        if (first.type === 'failed' && results.every(isElsewhere)) {
          respond({ type: 'failed', error: first.error, leader: leaderOf(known) });
        } else {
          respond({ type: 'executed', results });
        }
      });
    });
  }
}

function isElsewhere(result: OperationResult): boolean {
  return result.type === 'failed' && result.error.code === 'NOT_LEADER' && result.error.outcome === 'notApplied';
}
