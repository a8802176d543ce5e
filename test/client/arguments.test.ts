/** Calls that break the types, as plain JavaScript makes them: each rejects, naming the field, and sends nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QuorateError } from '../../src/base/errors.js';
import { connect, type Client } from '../../src/client/index.js';
import { startServer, type TestServer } from '../rpc/harness.js';

type Call = (...args: readonly unknown[]) => Promise<unknown>;
type Method = 'get' | 'put' | 'delete' | 'batch' | 'scan' | 'scanPages' | 'status' | 'shardMap';

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await startServer();
  client = await connect({ endpoints: [server.address] });
});

afterAll(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
});

async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The call itself does not throw: what it returns rejects. */
function callOf(method: Method): Call {
  return (...args) => {
    const result = (client[method] as (...given: unknown[]) => unknown).apply(client, [...args]);
    return method === 'scan' || method === 'scanPages'
      ? (result as AsyncIterator<unknown>).next()
      : (result as Promise<unknown>);
  };
}

const session = new Uint8Array(16);

describe('a call with arguments of the wrong type', () => {
  it.each<[Method, readonly unknown[], string]>([
    ['get', [], 'key must be bytes (Uint8Array) or text, got undefined'],
    ['get', [undefined], 'key must be bytes'],
    ['get', [null], 'key must be bytes'],
    ['get', [7], 'key must be bytes (Uint8Array) or text, got 7'],
    ['get', [[1, 2]], 'key must be bytes (Uint8Array) or text, got an array'],
    ['get', [{}], 'got an object'],
    ['get', [new ArrayBuffer(1)], 'key must be bytes'],
    ['get', ['\ud800'], 'key has half a surrogate pair'],
    ['get', ['k', null], 'options must be an object, got null'],
    ['get', ['k', 'stale'], 'options must be an object, got "stale"'],
    ['get', ['k', { consistency: 'foo' }], 'consistency must be "linearizable" or "stale", got "foo"'],
    ['get', ['k', { consistency: null }], 'consistency must be'],
    ['get', ['k', { deadlineMs: -1 }], 'deadlineMs must be milliseconds, above 0, got -1'],
    ['get', ['k', { deadlineMs: '5s' }], 'deadlineMs must be milliseconds, above 0, got "5s"'],
    ['get', ['k', { deadlineMs: NaN }], 'deadlineMs must be'],
    ['get', ['k', { deadlineMs: 5n }], 'deadlineMs must be'],
    ['get', ['k', { signal: {} }], 'signal must be an AbortSignal, got an object'],
    ['get', ['k', { signal: true }], 'signal must be an AbortSignal, got true'],
    ['put', ['k'], 'value must be bytes (Uint8Array) or text, got undefined'],
    ['put', [undefined, 'v'], 'key must be bytes'],
    ['put', ['k', 1], 'value must be bytes (Uint8Array) or text, got 1'],
    ['put', ['k', Symbol('s')], 'value must be bytes (Uint8Array) or text, got Symbol(s)'],
    ['put', ['k', 'v', null], 'options must be an object'],
    ['put', ['k', 'v', { ifAbsent: 'yes' }], 'ifAbsent must be true or false, got "yes"'],
    ['put', ['k', 'v', { ifVersion: '1' }], 'ifVersion must be a whole number from 1 to 2^53 - 1, got "1"'],
    ['put', ['k', 'v', { ifVersion: null }], 'ifVersion must be'],
    ['put', ['k', 'v', { ifValue: 3 }], 'ifValue must be bytes'],
    ['put', ['k', 'v', { requestId: 'r' }], 'requestId must be an object'],
    ['put', ['k', 'v', { requestId: { seq: 1 } }], 'requestId.session must be 16 bytes'],
    ['put', ['k', 'v', { requestId: { session: new Uint8Array(3), seq: 1 } }], 'requestId.session must be 16 bytes'],
    ['put', ['k', 'v', { requestId: { session, seq: -1 } }], 'requestId.seq must be a whole number'],
    ['put', ['k', 'v', { requestId: { session } }], 'requestId.seq must be a whole number'],
    ['delete', [undefined], 'key must be bytes'],
    ['delete', ['k', 0], 'options must be an object, got 0'],
    ['delete', ['k', { ifAbsent: 1 }], 'ifAbsent must be true or false, got 1'],
    ['batch', [], 'operations must be an array, got undefined'],
    ['batch', [{ type: 'get', key: 'k' }], 'operations must be an array, got an object'],
    ['batch', [[{ type: 'get', key: 'k' }, null]], 'operations[1]: an operation must be an object, got null'],
    ['batch', [new Array(1)], 'operations[0]: an operation must be an object, got undefined'],
    ['batch', [[{ type: 'PUT', key: 'k' }]], 'operations[0]: type must be "get", "put" or "delete", got "PUT"'],
    ['batch', [[{ type: 'put', key: 'k' }]], 'operations[0]: value must be bytes'],
    ['batch', [[], { deadlineMs: 0 }], 'deadlineMs must be'],
    ['scan', [null], 'options must be an object'],
    ['scan', [{ limit: -1 }], 'limit must be a whole number from 0 to 2^53 - 1, got -1'],
    ['scan', [{ limit: '10' }], 'limit must be a whole number'],
    ['scan', [{ start: 5 }], 'start must be bytes'],
    ['scan', [{ end: null }], 'end must be bytes'],
    ['scan', [{ prefix: {} }], 'prefix must be bytes'],
    ['scan', [{ reverse: 'no' }], 'reverse must be true or false'],
    ['scan', [{ keysOnly: 1 }], 'keysOnly must be true or false'],
    ['scan', [{ pageBytes: 0.5 }], 'pageBytes must be a whole number'],
    ['scan', [{ readTs: -1 }], 'readTs must be a whole number'],
    ['scan', [{ consistency: 'snapshot' }], 'consistency must be'],
    ['scan', [{ deadlineMs: -5 }], 'deadlineMs must be'],
    ['scanPages', [{ pageDeadlineMs: 'soon' }], 'pageDeadlineMs must be'],
    ['scanPages', ['a'], 'options must be an object, got "a"'],
    ['status', [null], 'options must be an object'],
    ['status', [{ deadlineMs: 0 }], 'deadlineMs must be'],
    ['shardMap', [5], 'options must be an object, got 5'],
    ['shardMap', [{ signal: 1 }], 'signal must be an AbortSignal'],
  ])('%s(...%o) rejects', async (method, args, message) => {
    const before = server.backend.submitted.length;
    let returned: Promise<unknown> | undefined;
    expect(() => (returned = callOf(method)(...args))).not.toThrow();
    const error = await errorOf(() => returned);
    expect(error).toBeInstanceOf(QuorateError);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'notApplied', retryable: false });
    expect((error as Error).message).toContain(message);
    expect(server.backend.submitted).toHaveLength(before);
  });

  it.each<[unknown, string]>([
    [undefined, 'options must be an object, got undefined'],
    ['127.0.0.1:7001', 'options must be an object'],
    [{}, 'endpoints must be an array, got undefined'],
    [{ endpoints: '127.0.0.1:7001' }, 'endpoints must be an array, got "127.0.0.1:7001"'],
    [{ endpoints: [7001] }, 'endpoints[0] must be host:port, got 7001'],
    [{ endpoints: [] }, 'endpoints must be one or more of host:port'],
    [{ endpoints: ['a:1'], deadlineMs: '1' }, 'deadlineMs must be'],
    [{ endpoints: ['a:1'], scanDeadlineMs: -1 }, 'scanDeadlineMs must be'],
    [{ endpoints: ['a:1'], bytesOpenMax: 0.5 }, 'bytesOpenMax must be a whole number'],
    [{ endpoints: ['a:1'], signal: 'x' }, 'signal must be an AbortSignal'],
  ])('connect(%o) rejects', async (options, message) => {
    const error = await errorOf(() => (connect as (given: unknown) => Promise<unknown>)(options));
    expect(error).toMatchObject({ name: 'QuorateError', code: 'INVALID_ARGUMENT' });
    expect((error as Error).message).toContain(message);
  });

  it('takes any time above 0, also one that no timer holds', async () => {
    expect(await client.get('absent', { deadlineMs: Infinity })).toEqual({ type: 'absent' });
    const scan = client.scan({ deadlineMs: 2 ** 40, pageDeadlineMs: Infinity });
    expect((await scan.next()).done).toBe(true);
  });
});
