import { EventEmitter } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Timestamp } from '../../src/base/ids.js';
import type { Clock, Timer } from '../../src/env/clock.js';
import { resultBytes } from '../../src/mvcc/operation-bytes.js';
import type { OperationResult } from '../../src/mvcc/operations.js';
import { SystemClock } from '../../src/platform/clock.js';
import { UnsentAnswers } from '../../src/rpc/unsent-answers.js';
import type { FakeBackend } from './fake-backend.js';
import { errorDetail, failure, rawClient, startServer, until, type RawClient } from './harness.js';
import { IdleCaller } from './idle-caller.js';

const mib = 1024 * 1024;
const overloaded = { code: 'ERROR_CODE_OVERLOADED', outcome: 'OUTCOME_NOT_APPLIED', retryable: true };

/** As grpc-js makes them, as far as it matters here. */
class FakeCall extends EventEmitter {
  readonly resets: number[] = [];
  cuts = 0;
  readonly call = {
    stream: Object.assign(new EventEmitter(), {
      destroyed: false,
      session: { socket: { resetAndDestroy: (): void => void this.cuts++ } },
      close: (code: number): void => void this.resets.push(code),
    }),
  };
}

/** Time goes on when the test says so. */
class HandClock implements Pick<Clock, 'after' | 'endOfTurn'> {
  readonly #system = new SystemClock();
  #timers: (() => void)[] = [];

  after(_delayMs: number, callback: () => void): Timer {
    this.#timers.push(callback);
    return { cancel: () => (this.#timers = this.#timers.filter((each) => each !== callback)) };
  }

  endOfTurn(callback: () => void): void {
    this.#system.endOfTurn(callback);
  }

  get armed(): number {
    return this.#timers.length;
  }

  /** All that wait, whatever for. */
  fire(): void {
    for (const callback of this.#timers.splice(0)) callback();
  }
}

describe('what callers have not taken', () => {
  const limits = { unsentAnswerBytesMax: 100, valueBytesMax: 10 };
  const make = (): { unsent: UnsentAnswers; clock: HandClock } => {
    const clock = new HandClock();
    return { unsent: new UnsentAnswers(limits, clock), clock };
  };

  it('leaves room for a value, to the byte, or has it left out', () => {
    const { unsent } = make();
    const found = (length: number): OperationResult => ({
      type: 'found',
      value: new Uint8Array(length),
      version: Timestamp(1),
    });
    unsent.add(unsent.of(new FakeCall(), 1000), limits.unsentAnswerBytesMax - resultBytes(found(10)));
    const fits = found(10);
    expect(unsent.fitting(fits)).toBe(fits);
    expect(unsent.fitting(found(11))).toMatchObject({ type: 'failed', error: { code: 'OVERLOADED' } });
  });

  it('is counted over all calls until they take it or are over', () => {
    const { unsent } = make();
    const calls = [new FakeCall(), new FakeCall()];
    const [first, second] = calls.map((call) => unsent.of(call, 1000));
    unsent.add(first, 60);
    unsent.add(second, 30);
    expect(unsent.bytes).toBe(90);
    expect(unsent.refusal).toBeUndefined();
    unsent.add(second, 1);
    expect(unsent.refusal).toMatchObject({ code: 'OVERLOADED', outcome: 'notApplied', retryAfterMs: 100 });
    unsent.sent(second, 20);
    unsent.drop(second, 1);
    expect(unsent.bytes).toBe(70);
    calls[0].emit('cancelled');
    expect(unsent.bytes).toBe(10);
    // What the transport says of it later, and what comes too late for it, counts no more.
    unsent.sent(first, 60);
    unsent.add(first, 60);
    expect(unsent.bytes).toBe(10);
  });

  it('is taken within the time of the call, which begins anew when some of it is taken', () => {
    const { unsent, clock } = make();
    const call = new FakeCall();
    const unsentCall = unsent.of(call, 1500);
    unsent.add(unsentCall, 20);
    const sweeps = (count: number): void => {
      for (let i = 0; i < count; i++) clock.fire();
    };
    sweeps(2);
    unsent.sent(unsentCall, 5);
    sweeps(2);
    expect(call.resets).toEqual([]);
    sweeps(1);
    expect(call.resets).toEqual([8]);
    expect(unsent.bytes).toBe(15);
    call.call.stream.emit('close');
    expect(unsent.bytes).toBe(0);
  });

  it('does not stay when the call was over before its answer came', () => {
    const { unsent, clock } = make();
    const call = new FakeCall();
    call.call.stream.destroyed = true;
    unsent.add(unsent.of(call, 0), 20);
    clock.fire();
    expect(unsent.bytes).toBe(0);
  });

  it('costs a timer while there is some', () => {
    const { unsent, clock } = make();
    const calls = [1, 2].map(() => unsent.of(new FakeCall(), 5000));
    expect(clock.armed).toBe(0);
    for (const each of calls) unsent.add(each, 1);
    expect(clock.armed).toBe(1);
    for (const each of calls) unsent.sent(each, 1);
    clock.fire();
    expect(clock.armed).toBe(0);
  });

  it('ends with its connection when the server is closed, whether it was reset or not; what was taken does not', () => {
    const { unsent, clock } = make();
    const calls = [1, 2, 3].map(() => new FakeCall());
    const [reset, waiting, taken] = calls.map((call, i) => unsent.of(call, i === 0 ? 0 : 5000));
    unsent.add(reset, 1);
    clock.fire();
    unsent.add(waiting, 1);
    unsent.add(taken, 1);
    unsent.sent(taken, 1);
    unsent.close(200);
    expect(calls.map(({ cuts }) => cuts)).toEqual([0, 0, 0]);
    clock.fire();
    expect(calls[1].cuts).toBe(1);
    expect(calls[0].cuts).toBeGreaterThanOrEqual(1);
    expect(calls[2].cuts).toBe(0);
    expect(clock.armed).toBe(0);
  });
});

interface Node {
  readonly clock: HandClock;
  readonly address: string;
  readonly backend: FakeBackend;
  /** Of a caller that does read. */
  readonly client: RawClient;
}

/** A node with room for seven large values. */
async function startNode(): Promise<Node> {
  const clock = new HandClock();
  const node = await startServer({ limits: { unsentAnswerBytesMax: 8 * mib }, timeoutMsMax: 10_000, clock });
  const client = rawClient(node.address);
  onTestFinished(async () => {
    client.close();
    await node[Symbol.asyncDispose]();
  });
  await client.unary('Put', { key: Buffer.from('large'), value: Buffer.alloc(mib) });
  await client.unary('Put', { key: Buffer.from('small'), value: Buffer.from('s') });
  node.backend.submitted.length = 0;
  return { clock, address: node.address, backend: node.backend, client };
}

function idleCaller(node: Node, windows: 'small' | 'large' = 'small'): IdleCaller {
  const caller = new IdleCaller(node.address, { windows });
  onTestFinished(() => caller.close());
  return caller;
}

const get = (client: RawClient, key: string): Promise<unknown> => client.unary('Get', { key: Buffer.from(key) });

function isAnswered({ client }: Node): Promise<boolean> {
  return get(client, 'small').then(
    () => true,
    () => false,
  );
}

const answered = (node: Node): Promise<void> => until(() => isAnswered(node));
const answeredInTime = (node: Node): Promise<void> =>
  until(() => {
    node.clock.fire();
    return isAnswered(node);
  });
const refused = (node: Node): Promise<void> => until(async () => !(await isAnswered(node)));

describe('callers that do not read', () => {
  it('get no more values than there is room for, and reads are refused before they are done', async () => {
    const node = await startNode();
    const caller = idleCaller(node);
    const over = Array.from({ length: 7 }, () => caller.get('large'));
    await refused(node);
    const done = node.backend.submitted.length;
    await Promise.all(Array.from({ length: 20 }, () => caller.get('large')));

    const error = await failure(get(node.client, 'small'));
    expect(errorDetail(error)).toEqual({ ...overloaded, retry_after_ms: 100 });
    const admin = rawClient(node.address, 'Admin');
    onTestFinished(() => admin.close());
    for (const method of ['Status', 'ShardMap']) {
      expect(errorDetail(await failure(admin.unary(method, {})))).toMatchObject(overloaded);
    }
    expect(node.backend.submitted).toHaveLength(done);
    // A write is done, and said to be.
    expect(await node.client.unary('Put', { key: Buffer.from('a') })).toHaveProperty('written');
    // One that was not done has no room for what is there instead.
    const put = { key: Buffer.from('large'), condition: { absent: {} } };
    expect(errorDetail(await failure(node.client.unary('Put', put)))).toEqual({ ...overloaded, retry_after_ms: 20 });

    await answeredInTime(node);
    await Promise.all(over);
    expect(await get(node.client, 'large')).toHaveProperty('found');
    expect(await admin.unary('ShardMap', {})).toBeDefined();
  });

  it('lose their connection when they do not even read the end of their calls', async () => {
    const node = await startNode();
    const caller = idleCaller(node, 'large');
    await caller.callsMax();
    caller.stopReading();
    // More than the buffers of the operating system take, and the node.
    for (let i = 0; i < 40; i++) void caller.get('large');
    await refused(node);
    await answeredInTime(node);
    await caller.disconnected();
  });

  it('do not keep a server from stopping', async () => {
    const node = await startServer({ timeoutMsMax: 60_000 });
    onTestFinished(() => node[Symbol.asyncDispose]());
    const client = rawClient(node.address);
    onTestFinished(() => client.close());
    await client.unary('Put', { key: Buffer.from('large'), value: Buffer.alloc(mib) });
    node.backend.submitted.length = 0;
    const caller = new IdleCaller(node.address, { windows: 'large' });
    onTestFinished(() => caller.close());
    await caller.callsMax();
    caller.stopReading();
    // More than the buffers of the operating system take.
    for (let i = 0; i < 40; i++) void caller.get('large');
    await until(() => node.backend.submitted.length === 40);
    await node.server.drain(20);
  });

  it('have a quarter of the room on a stream, and are reset when they take nothing for long', async () => {
    const node = await startNode();
    const caller = idleCaller(node);
    const over = caller.getOnStream('large', 20);
    await until(() => node.backend.submitted.length === 20);
    expect(await get(node.client, 'large')).toHaveProperty('found');
    await until(async () => {
      node.clock.fire();
      return (await Promise.race([over, isAnswered(node)])) === 8;
    });
  });

  it('have the results of a batch counted from the first on, and no more once it is cancelled', async () => {
    const node = await startNode();
    node.backend.onSubmit = (operation) => (operation.type === 'delete' ? 'hold' : 'execute');
    const read = { get: { key: Buffer.from('large') } };
    const operations = [...Array.from({ length: 7 }, () => read), { delete: { key: Buffer.from('x') } }];
    const call = node.client.start('Batch', { operations }, () => undefined);
    await until(() => node.backend.held.length === 1);
    expect(errorDetail(await failure(get(node.client, 'large')))).toMatchObject(overloaded);
    call.cancel();
    await answered(node);
    node.backend.releaseHeld();
    expect(await get(node.client, 'large')).toHaveProperty('found');
  });
});

it('a connection has no more calls open than it may', async () => {
  const node = await startServer({ limits: { connectionCallsMax: 77 } });
  const caller = new IdleCaller(node.address);
  onTestFinished(async () => {
    caller.close();
    await node[Symbol.asyncDispose]();
  });
  expect(await caller.callsMax()).toBe(77);
});
