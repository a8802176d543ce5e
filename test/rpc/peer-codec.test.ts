import assert, { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../src/base/bytes.js';
import { DecodeError } from '../../src/base/coding.js';
import { QuorateError } from '../../src/base/errors.js';
import { LogIndex, NodeId, ReplicaId, ShardId, Term, Timestamp } from '../../src/base/ids.js';
import type { RaftMessage } from '../../src/raft/types.js';
import { decodePeerFrame, encodePeerFrame } from '../../src/rpc/peer-codec.js';
import type { PeerFrame } from '../../src/rpc/peer-messages.js';
import { peerFrameArbitrary } from './arbitraries.js';
import { throughTwin, twinDecode, twinEncode } from './twin.js';

const frameType = 'quorate.peer.v1.PeerFrame';

/** One frame of each kind, with the values that are easy to get wrong. */
const goldens: readonly PeerFrame[] = [
  {
    type: 'hello',
    clusterId: 'c-1',
    nodeId: NodeId(3),
    storeId: 's-ü',
    peerAddress: 'db3:7101',
    protocolMin: 1,
    protocolMax: 2,
  },
  {
    type: 'raft',
    messages: [
      {
        shard: ShardId(0),
        message: {
          type: 'appendRequest',
          from: ReplicaId(1),
          to: ReplicaId(2),
          term: Term(7),
          prevLogIndex: LogIndex(0),
          prevLogTerm: Term(0),
          entries: [
            { term: Term(1), index: LogIndex(1), data: new Uint8Array(0) },
            { term: Term(7), index: LogIndex(2), data: new Uint8Array([0, 255]) },
          ],
          commit: LogIndex(1),
        },
      },
      {
        shard: ShardId(3),
        message: {
          type: 'snapshotRequest',
          from: ReplicaId(1),
          to: ReplicaId(5),
          term: Term(7),
          snapshot: {
            index: LogIndex(9),
            term: Term(6),
            configuration: {
              voters: [1, 4].map(ReplicaId),
              votersOutgoing: [1, 2].map(ReplicaId),
              learners: [5].map(ReplicaId),
              learnersNext: [2].map(ReplicaId),
              autoLeave: true,
            },
          },
        },
      },
      { shard: ShardId(9), message: { type: 'timeoutNow', from: ReplicaId(4), to: ReplicaId(5), term: Term(300) } },
    ],
  },
  {
    type: 'request',
    id: Number.MAX_SAFE_INTEGER,
    timeoutMs: 5000,
    relay: true,
    body: {
      type: 'execute',
      shard: ShardId(1),
      epoch: { membership: 1, range: 2 },
      operations: [
        { type: 'get', key: utf8('k'), consistency: 'stale' },
        {
          type: 'put',
          key: utf8('k'),
          value: new Uint8Array(0),
          condition: { type: 'versionEquals', version: Timestamp(0) },
          requestId: { session: new Uint8Array(16).fill(0xab), seq: 0 },
        },
      ],
    },
  },
  {
    type: 'response',
    id: 0,
    body: {
      type: 'failed',
      error: new QuorateError('SHARD_UNAVAILABLE', 'no quorum', {
        shard: ShardId(0),
        outcome: 'unknown',
        retryAfterMs: 0,
      }),
      leader: NodeId(2),
      leaderAddress: 'db2:7101',
    },
  },
];

describe('peer codec', () => {
  it.each(goldens.map((frame) => [frame.type, frame] as const))('keeps the bytes of %s', async (type, frame) => {
    const bytes = encodePeerFrame(frame);
    const text = `${toHex(bytes)}\n${JSON.stringify(twinDecode(frameType, bytes), null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(`goldens/peer-${type}.txt`);
    deepStrictEqual(decodePeerFrame(bytes), frame);
  });

  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(peerFrameArbitrary, (frame) => {
        deepStrictEqual(decodePeerFrame(encodePeerFrame(frame)), frame);
      }),
      { numRuns: 300 },
    );
  });

  it('agrees with protobufjs, both ways', () => {
    fc.assert(
      fc.property(peerFrameArbitrary, (frame) => {
        deepStrictEqual(decodePeerFrame(throughTwin(frameType, encodePeerFrame(frame))), frame);
      }),
      { numRuns: 300 },
    );
  });

  it('copies byte strings out of the frame', () => {
    const frame = goldens[1];
    const bytes = encodePeerFrame(frame);
    const decoded = decodePeerFrame(bytes);
    bytes.fill(0xee);
    deepStrictEqual(decoded, frame);
  });

  it('gives the data of each entry memory of its own: a log keeps some for long, and counts their bytes', () => {
    const dataOf = (length: number): Uint8Array => new Uint8Array(length).fill(length);
    const entries = [70, 300, 2000, 3000].map((length, i) => ({
      index: LogIndex(i + 1),
      term: Term(1),
      data: dataOf(length),
    }));
    const message: RaftMessage = {
      type: 'appendRequest',
      from: ReplicaId(1),
      to: ReplicaId(2),
      term: Term(1),
      prevLogIndex: LogIndex(0),
      prevLogTerm: Term(0),
      entries,
      commit: LogIndex(0),
    };
    const decoded = decodePeerFrame(encodePeerFrame({ type: 'raft', messages: [{ shard: ShardId(1), message }] }));
    assert(decoded.type === 'raft' && decoded.messages[0].message.type === 'appendRequest');
    for (const { data } of decoded.messages[0].message.entries) expect(data.buffer.byteLength).toBe(data.length);
  });

  it('throws nothing but DecodeError on damaged frames', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(peerFrameArbitrary, damage, fc.nat(), (frame, bytesChanged, cut) => {
        const bytes = encodePeerFrame(frame);
        for (const [at, value] of bytesChanged) bytes[at % bytes.length] = value;
        onlyDecodeError(bytes.subarray(0, bytes.length - (cut % 3)));
      }),
      { numRuns: 2000 },
    );
  });

  it('throws nothing but DecodeError on garbage', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), onlyDecodeError), { numRuns: 5000 });
  });

  it.each<[string, Record<string, unknown>]>([
    ['no body', {}],
    ['node id 0', { hello: { cluster_id: 'c', protocol_min: 1, protocol_max: 1 } }],
    ['protocol versions upside down', { hello: { node_id: 1, protocol_min: 2, protocol_max: 1 } }],
    ['replica id 0', { raft: { messages: [{ shard: 1, from: 0, to: 1, timeout_now: {} }] } }],
    ['a Raft snapshot without configuration', { raft: { messages: [{ from: 1, to: 1, snapshot_request: {} }] } }],
    [
      'a configuration with a learner that votes',
      {
        raft: {
          messages: [
            {
              from: 1,
              to: 1,
              snapshot_request: { configuration: { members: [{ replica: 1, voter: true, learner: true }] } },
            },
          ],
        },
      },
    ],
    [
      'a configuration whose members do not ascend',
      {
        raft: {
          messages: [
            {
              from: 1,
              to: 1,
              snapshot_request: { configuration: { members: [2, 1].map((replica) => ({ replica, voter: true })) } },
            },
          ],
        },
      },
    ],
    ['a Raft message without body', { raft: { messages: [{ shard: 1, from: 1, to: 1 }] } }],
    [
      'entries with a gap',
      { raft: { messages: [{ from: 1, to: 1, append_request: { prev_log_index: 4, entries: [{ index: 6 }] } }] } },
    ],
    ['a request without body', { request: { id: 1 } }],
    ['an unknown consistency', { request: { scan_page: { consistency: 9 } } }],
    ['a write without request id', { request: { execute: { operations: [{ put: { key: 'YQ==' } }] } } }],
    [
      'a session of the wrong length',
      { request: { execute: { operations: [{ delete: { request_id: { session: 'YQ==' } } }] } } },
    ],
    ['an operation without kind', { request: { execute: { operations: [{}] } } }],
    ['no timestamps', { request: { timestamps: {} } }],
    ['more timestamps than one request may ask for', { request: { timestamps: { count: 2 ** 20 + 1 } } }],
    ['no operations', { request: { execute: {} } }],
    ['timestamps beyond 2^53', { response: { timestamps: { first: '9007199254740990', count: 9 } } }],
    ['a result without kind', { response: { executed: { results: [{}] } } }],
    ['a term of 2^53', { raft: { messages: [{ from: 1, to: 1, term: '9007199254740992', timeout_now: {} }] } }],
    ['a term of 2^64 - 1', { raft: { messages: [{ from: 1, to: 1, term: '18446744073709551615', timeout_now: {} }] } }],
  ])('refuses %s', (_, message) => {
    expect(() => decodePeerFrame(twinEncode(frameType, message))).toThrow(DecodeError);
  });

  it('passes over fields of a later release', () => {
    const known = encodePeerFrame(goldens[0]);
    // Fields 14 (varint), 15 (fixed64) and 2000 (bytes) after the body.
    const more = [14 << 3, 5, (15 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8, 0x82, 0x7d, 2, 9, 9];
    expect(decodePeerFrame(new Uint8Array([...known, ...more]))).toEqual(goldens[0]);
  });
});

function onlyDecodeError(bytes: Uint8Array): void {
  try {
    decodePeerFrame(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
  }
}
