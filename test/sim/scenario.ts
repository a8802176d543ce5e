/** A simulated cluster that a test leads through one story, step by step. */
import { utf8 } from '../../src/base/bytes.js';
import { NodeId, placementShardId, ShardId, Timestamp } from '../../src/base/ids.js';
import type { QuorateError } from '../../src/base/errors.js';
import { defined } from '../../src/base/assert.js';
import type { Condition, Operation, OperationResult, RequestId } from '../../src/mvcc/operations.js';
import { runTurns } from '../../src/platform/turns.js';
import type { ScanRecord, ScanRequest } from '../../src/rpc/backend.js';
import type { Replica } from '../../src/shard/replica.js';
import { SimCluster } from '../../src/sim/cluster.js';
import type { SimClusterOptions } from '../../src/sim/cluster.js';
import type { SimMachine } from '../../src/sim/machine.js';

/** An operation on its way; `result` is there when it was answered. */
export interface Call {
  result: OperationResult | undefined;
  /** Virtual time of the answer. */
  answeredAtMs: number | undefined;
}

/** A wish for members of a shard; see {@link Scenario.changeMembers}. */
export interface Wish {
  isDone: boolean;
}

export interface PutOptions {
  readonly timeoutMs?: number;
  readonly condition?: Condition;
  readonly requestId?: RequestId;
}

const session = new Uint8Array(16).fill(7);

export class Scenario {
  readonly cluster: SimCluster;
  #nextSeq = 1;

  private constructor(options: Omit<SimClusterOptions, 'runTurns'>) {
    this.cluster = new SimCluster({ shards: 1, ...options, runTurns });
  }

  /** Three nodes, and one shard besides the placement group unless `options` say otherwise; all of it has leaders. */
  static async formed(options: Omit<SimClusterOptions, 'runTurns'>): Promise<Scenario> {
    const scenario = Scenario.started(options);
    await scenario.ready();
    return scenario;
  }

  /** The same, when their processes have started. */
  static started(options: Omit<SimClusterOptions, 'runTurns'>): Scenario {
    const scenario = new Scenario(options);
    scenario.cluster.startAll();
    return scenario;
  }

  get nowMs(): number {
    return this.cluster.scheduler.nowMs;
  }

  async run(ms: number): Promise<void> {
    await this.cluster.scheduler.run(this.nowMs + ms);
  }

  /** Runs until `condition` holds; throws when it does not within `msMax`. */
  async until(what: string, condition: () => boolean, msMax = 10_000): Promise<void> {
    if (await this.cluster.scheduler.runUntil(condition, this.nowMs + msMax)) return;
    throw new Error(`not within ${msMax} ms: ${what}\n${this.cluster.log.text()}`);
  }

  async ready(): Promise<void> {
    const isReady = (): boolean => this.cluster.machines.every(({ node }) => node?.isReady ?? false);
    await this.until('every node is up and sees a leader for every shard', isReady, 30_000);
    await this.until('every group has a leader', () => this.#groups().every((id) => this.#leaderOf(id) !== undefined));
  }

  #groups(): number[] {
    const { node } = this.cluster.machine(1);
    return (node?.host.shards ?? []).map(({ replica }) => replica.shard);
  }

  machine(id: number): SimMachine {
    return this.cluster.machine(id);
  }

  others(id: number): number[] {
    return this.cluster.machines.map((machine): number => machine.id).filter((other) => other !== id);
  }

  replica(id: number, shard = 1): Replica {
    const hosted = this.machine(id).node?.host.shard(ShardId(shard));
    return defined(hosted, `replica of shard ${shard} on node ${id}`).replica;
  }

  /** The node that leads `shard` in the highest term, and may evaluate. */
  leaderOf(shard = 1): number {
    return defined(this.#leaderOf(shard), `leader of shard ${shard}`);
  }

  #leaderOf(shard: number): number | undefined {
    const leaders = this.cluster.machines.filter(
      ({ node }) => node?.host.shard(ShardId(shard))?.replica.isReadyLeader ?? false,
    );
    leaders.sort((a, b) => this.replica(b.id, shard).term - this.replica(a.id, shard).term);
    return leaders.at(0)?.id;
  }

  get placementLeader(): number {
    return this.leaderOf(placementShardId);
  }

  /** Has `shard` led by `node`, by handing leadership over until it is. */
  async leadBy(node: number, shard = 1): Promise<void> {
    for (let tries = 0; tries < 20 && this.#leaderOf(shard) !== node; tries++) {
      const from = this.#leaderOf(shard);
      if (from !== undefined) this.replica(from, shard).transferLeadership(NodeId(node));
      await this.run(300);
    }
    await this.until(`node ${node} leads shard ${shard}`, () => this.#leaderOf(shard) === node);
  }

  /** Has these be the members of the shard, by whoever leads it, until they are. */
  changeMembers(
    wanted: { readonly voters: readonly number[]; readonly learners?: readonly number[] },
    shard = 1,
  ): Wish {
    const [voters, learners] = [wanted.voters, wanted.learners ?? []].map((ids) => ids.map((id) => NodeId(id)));
    const wish = { isDone: false };
    const ask = (): void => {
      const leader = this.#leaderOf(shard);
      const again = (): void => void this.cluster.scheduler.schedule(100, 'asks for members', ask);
      if (leader === undefined) {
        again();
        return;
      }
      this.replica(leader, shard).changeMembers({ voters, learners }, (error) => {
        if (error === undefined) wish.isDone = true;
        else again();
      });
    };
    ask();
    return wish;
  }

  /** Cuts the node off from all others, both ways. */
  isolate(id: number): void {
    const { name } = this.machine(id);
    this.cluster.network.partition([[name], this.others(id).map((other) => this.machine(other).name)]);
  }

  heal(): void {
    this.cluster.network.heal();
  }

  // ---- operations

  newRequestId(): RequestId {
    return { session, seq: this.#nextSeq++ };
  }

  call(node: number, operation: Operation, timeoutMs = 5000): Call {
    const call: Call = { result: undefined, answeredAtMs: undefined };
    const isTaken = this.cluster.submit(node, operation, timeoutMs, (result) => {
      call.result = result;
      call.answeredAtMs = this.nowMs;
    });
    if (!isTaken) throw new Error(`node ${node} is down`);
    return call;
  }

  put(node: number, key: string, value: string, options: PutOptions = {}): Call {
    const { timeoutMs, condition = { type: 'none' }, requestId = this.newRequestId() } = options;
    return this.call(node, { type: 'put', key: utf8(key), value: utf8(value), condition, requestId }, timeoutMs);
  }

  get(node: number, key: string, consistency: 'linearizable' | 'stale' = 'linearizable', timeoutMs = 5000): Call {
    return this.call(node, { type: 'get', key: utf8(key), consistency }, timeoutMs);
  }

  async answer(call: Call): Promise<OperationResult> {
    await this.until('the operation is answered', () => call.result !== undefined, 70_000);
    return defined(call.result, 'result');
  }

  /** The version that the write got. */
  async written(call: Call): Promise<Timestamp> {
    const result = await this.answer(call);
    if (result.type === 'written') return result.version;
    throw new Error(`not written but ${describe(result)}`);
  }

  async failed(call: Call): Promise<QuorateError> {
    const result = await this.answer(call);
    if (result.type === 'failed') return result.error;
    throw new Error(`not failed but ${describe(result)}`);
  }

  /** The value, undefined when there is none. */
  async value(call: Call): Promise<string | undefined> {
    const result = await this.answer(call);
    if (result.type === 'absent') return undefined;
    if (result.type === 'found') return new TextDecoder().decode(result.value);
    throw new Error(`no value but ${describe(result)}`);
  }

  /** A whole linearizable scan at `node`, as text. */
  scan(node: number, request: Partial<ScanRequest> = {}): Promise<Map<string, string>> {
    return this.cluster.scheduler.complete(this.startScan(node, request), this.nowMs + 70_000);
  }

  async startScan(node: number, request: Partial<ScanRequest> = {}): Promise<Map<string, string>> {
    const all: ScanRequest = {
      start: new Uint8Array(0),
      end: new Uint8Array(0),
      reverse: false,
      keysOnly: false,
      limit: 0,
      pageBytes: 0,
      consistency: 'linearizable',
      readTs: Timestamp(0),
      timeoutMs: 10_000,
      pageTimeoutMs: 10_000,
      ...request,
    };
    const records: ScanRecord[] = [];
    const pages = defined(this.machine(node).node, `node ${node}`).scan(all, new AbortController().signal);
    for await (const page of pages) records.push(...page.records);
    const text = new TextDecoder();
    return new Map(records.map(({ key, value }) => [text.decode(key), text.decode(value)]));
  }
}

function describe(result: OperationResult): string {
  return result.type === 'failed' ? `failed: ${result.error.code} ${result.error.message}` : result.type;
}
