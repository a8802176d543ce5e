/** A node in memory behind the interfaces that the gRPC server wants: one map, versions counted, requests deduplicated. */
import { compareBytes, equalBytes, mapKey } from '../../src/base/bytes.js';
import { QuorateError } from '../../src/base/errors.js';
import { NodeId, ReplicaId, ShardId, Timestamp, placementShardId } from '../../src/base/ids.js';
import type {
  AtomicBatch,
  Condition,
  KeyWrite,
  Operation,
  OperationResult,
  RequestId,
  VersionedValue,
} from '../../src/mvcc/operations.js';
import type {
  AdminBackend,
  ClusterStatus,
  KvBackend,
  ScanPage,
  ScanRecord,
  ScanRequest,
  ShardMapView,
  WantedReplicas,
} from '../../src/rpc/backend.js';

interface Stored extends VersionedValue {
  readonly key: Uint8Array;
}

/** The replicated state: several backends may share it, as nodes of one cluster do. */
export class FakeState {
  readonly records = new Map<string, Stored>();
  readonly answered = new Map<string, OperationResult>();
  /** Writes that really took effect, by key. */
  readonly applied: string[] = [];
  #version = 0;

  execute(operation: Operation): OperationResult {
    if (operation.type === 'get') {
      const current = this.records.get(mapKey(operation.key));
      return current === undefined
        ? { type: 'absent' }
        : { type: 'found', version: current.version, value: current.value };
    }
    const id = requestKey(operation.requestId);
    const known = this.answered.get(id);
    if (known !== undefined) return known;
    const result = operation.type === 'atomicBatch' ? this.#writeAll(operation) : this.#write(operation);
    this.answered.set(id, result);
    return result;
  }

  #writeAll({ operations }: AtomicBatch): OperationResult {
    const failures = operations.flatMap(({ key, condition }, index) => {
      const current = this.records.get(mapKey(key));
      return holds(condition, current) ? [] : [{ index, current }];
    });
    if (failures.length > 0) return { type: 'conditionsFailed', failures };
    const version = Timestamp(++this.#version);
    for (const operation of operations) {
      const key = mapKey(operation.key);
      this.applied.push(key);
      if (operation.type === 'delete') this.records.delete(key);
      else if (operation.type === 'put') this.records.set(key, { key: operation.key, version, value: operation.value });
    }
    return { type: 'written', version };
  }

  #write(operation: KeyWrite): OperationResult {
    const current = this.records.get(mapKey(operation.key));
    if (!holds(operation.condition, current)) {
      return {
        type: 'conditionFailed',
        current: current && { version: current.version, value: current.value },
      };
    }
    const key = mapKey(operation.key);
    if (operation.type === 'delete' && current === undefined) return { type: 'nothingDeleted' };
    const version = Timestamp(++this.#version);
    this.applied.push(key);
    if (operation.type === 'delete') this.records.delete(key);
    else this.records.set(key, { key: operation.key, version, value: operation.value });
    return { type: 'written', version };
  }
}

function holds(condition: Condition, current: Stored | undefined): boolean {
  switch (condition.type) {
    case 'none':
      return true;
    case 'absent':
      return current === undefined;
    case 'versionEquals':
      return current?.version === condition.version;
    case 'valueEquals':
      return current !== undefined && equalBytes(current.value, condition.value);
  }
}

function requestKey({ session, seq }: RequestId): string {
  return `${mapKey(session)}/${seq}`;
}

export interface Submitted {
  readonly operation: Operation;
  readonly timeoutMs: number;
  readonly done: (result: OperationResult) => void;
}

/**
 * `onSubmit` decides what happens to an operation: `execute` answers from the state, `hold` keeps it in `held` until
 * the test answers it, an error is the answer.
 */
export class FakeBackend implements KvBackend, AdminBackend {
  readonly state: FakeState;
  readonly submitted: Submitted[] = [];
  readonly held: Submitted[] = [];
  readonly scans: ScanRequest[] = [];
  onSubmit: (operation: Operation) => 'execute' | 'hold' | 'loseAnswer' | QuorateError = () => 'execute';
  pageRecordsMax = 2;
  /** Called before each page. */
  beforePage: (page: number, signal: AbortSignal) => Promise<void> | void = () => undefined;
  map: ShardMapView = { revision: 0, nodes: [], shards: [] };
  clusterStatus: ClusterStatus = sampleStatus;
  #seq = 0;

  constructor(state = new FakeState()) {
    this.state = state;
  }

  submit(operation: Operation, timeoutMs: number, done: (result: OperationResult) => void): void {
    const submitted = { operation, timeoutMs, done };
    this.submitted.push(submitted);
    const decision = this.onSubmit(operation);
    if (decision === 'hold') this.held.push(submitted);
    else if (decision === 'loseAnswer') this.state.execute(operation);
    else if (decision === 'execute') queueMicrotask(() => done(this.state.execute(operation)));
    else queueMicrotask(() => done({ type: 'failed', error: decision }));
  }

  releaseHeld(): void {
    for (const { operation, done } of this.held.splice(0)) done(this.state.execute(operation));
  }

  async *scan(request: ScanRequest, signal: AbortSignal): AsyncIterable<ScanPage> {
    this.scans.push(request);
    const { start, end, reverse, keysOnly, limit } = request;
    const inRange = [...this.state.records.values()].filter(
      ({ key }) => compareBytes(start, key) <= 0 && (end.length === 0 || compareBytes(key, end) < 0),
    );
    inRange.sort((a, b) => compareBytes(a.key, b.key));
    if (reverse) inRange.reverse();
    const wanted: ScanRecord[] = inRange
      .slice(0, limit === 0 ? undefined : limit)
      .map(({ key, version, value }) => ({ key, version, value: keysOnly ? new Uint8Array(0) : value }));
    for (let at = 0, page = 0; at < wanted.length; at += this.pageRecordsMax, page++) {
      await this.beforePage(page, signal);
      signal.throwIfAborted();
      yield { records: wanted.slice(at, at + this.pageRecordsMax), readTs: Timestamp(1000) };
    }
  }

  newRequestId(): RequestId {
    return { session: new Uint8Array(16), seq: ++this.#seq };
  }

  status(): Promise<ClusterStatus> {
    return Promise.resolve(this.clusterStatus);
  }

  readonly wanted: WantedReplicas[] = [];
  readonly replaced: number[] = [];
  readonly removed: number[] = [];

  removeNode(node: NodeId): Promise<void> {
    this.removed.push(node);
    return Promise.resolve();
  }

  replaceNode(node: NodeId): Promise<void> {
    if (node > 9) return Promise.reject(new QuorateError('INVALID_ARGUMENT', `there is no node ${node}`));
    this.replaced.push(node);
    return Promise.resolve();
  }

  changeReplicas(wanted: WantedReplicas): Promise<void> {
    if (wanted.shard > 9) {
      return Promise.reject(new QuorateError('INVALID_ARGUMENT', `there is no shard ${wanted.shard}`));
    }
    this.wanted.push(wanted);
    return Promise.resolve();
  }

  shardMap(): ShardMapView {
    return this.map;
  }
}

export const sampleStatus: ClusterStatus = {
  clusterId: 'cluster-1',
  nodes: [
    {
      id: NodeId(1),
      clientAddress: '127.0.0.1:1',
      peerAddress: '127.0.0.1:2',
      pid: 99,
      live: true,
      softwareVersion: '0.1.0',
      logBytes: 67_108_864,
      snapshots: { sentBytes: 7, receivedBytes: 8, installed: 9 },
      stage: 'joining',
    },
  ],
  shards: [
    {
      id: ShardId(1),
      start: new Uint8Array(0),
      end: new Uint8Array([0x80]),
      epoch: { membership: 1, range: 2 },
      leader: undefined,
      term: 4,
      replicas: [
        { node: NodeId(1), replica: ReplicaId(7), role: 'learner', appliedIndex: 10, commitIndex: 11, live: true },
      ],
      bytes: 123_456,
    },
  ],
  placement: {
    id: placementShardId,
    start: new Uint8Array(0),
    end: new Uint8Array(0),
    epoch: { membership: 1, range: 1 },
    leader: NodeId(1),
    term: 2,
    replicas: [{ node: NodeId(1), replica: ReplicaId(1), role: 'voter', appliedIndex: 7, commitIndex: 7, live: true }],
    bytes: 4096,
  },
};

/** A map of two shards on the nodes at these addresses (ids from 1), divided at the key `m`. */
export function twoShardMap(
  revision: number,
  addresses: readonly string[],
  leaders: readonly [number | undefined, number | undefined],
): ShardMapView {
  const bounds = [new Uint8Array(0), new Uint8Array([0x6d]), new Uint8Array(0)];
  return {
    revision,
    nodes: addresses.map((clientAddress, i) => ({ id: NodeId(i + 1), clientAddress, peerAddress: `peer-${i + 1}` })),
    shards: leaders.map((leader, i) => ({
      descriptor: {
        shard: ShardId(i + 1),
        start: bounds[i],
        end: bounds[i + 1],
        epoch: { membership: 1, range: 1 },
        replicas: addresses.map((_, node) => ({ replica: ReplicaId(node + 1), node: NodeId(node + 1) })),
      },
      leader: leader === undefined ? undefined : NodeId(leader),
    })),
  };
}
