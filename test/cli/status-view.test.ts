import { describe, expect, test } from 'vitest';

import { utf8 } from '../../src/base/bytes.js';
import { NodeId, ReplicaId, ShardId, placementShardId } from '../../src/base/ids.js';
import { statusTables, statusToJson } from '../../src/cli/status-view.js';
import type { ClusterStatus, ShardStatus } from '../../src/client/index.js';

function shard(fields: Partial<ShardStatus>): ShardStatus {
  return {
    id: ShardId(1),
    start: new Uint8Array(0),
    end: new Uint8Array(0),
    epoch: { membership: 1, range: 2 },
    leader: NodeId(2),
    term: 3,
    replicas: [
      { node: NodeId(3), replica: ReplicaId(7), role: 'voter', appliedIndex: 0, commitIndex: 0, live: false },
      { node: NodeId(2), replica: ReplicaId(6), role: 'voter', appliedIndex: 10, commitIndex: 10, live: true },
      { node: NodeId(1), replica: ReplicaId(5), role: 'voter', appliedIndex: 8, commitIndex: 9, live: true },
    ],
    bytes: 2048,
    ...fields,
  };
}

const status: ClusterStatus = {
  clusterId: 'dev-1',
  nodes: [1, 2, 3].map((id) => ({
    id: NodeId(id),
    clientAddress: `n${id}:7001`,
    peerAddress: `n${id}:7101`,
    pid: id === 3 ? 0 : 100 + id,
    live: id !== 3,
    softwareVersion: id === 3 ? '' : '0.1.0',
    logBytes: id === 3 ? 0 : id * 67_108_864,
    snapshots: { sentBytes: id, receivedBytes: 0, installed: 0 },
    stage: id === 2 ? 'draining' : undefined,
  })),
  shards: [
    shard({ end: utf8('m') }),
    shard({ id: ShardId(2), start: utf8('m'), end: Uint8Array.of(0xff), leader: undefined, bytes: 0 }),
  ],
  placement: shard({ id: placementShardId, leader: NodeId(1), term: 5, bytes: 4096 }),
};

describe('status', () => {
  test('for people', () => {
    expect(statusTables(status)).toBe(
      [
        'cluster dev-1',
        '',
        'node  clients  peers    state           pid  leads        log',
        '1     n1:7001  n1:7101  live            101      0   64.0 MiB',
        '2     n2:7001  n2:7101  live, draining  102      1  128.0 MiB',
        '3     n3:7001  n3:7101  no answer         -      0          -',
        '',
        'shard      from  to    epoch  leader  term  applied on 1  applied on 2  applied on 3     size',
        'placement              1.2    1          5         8 (1)            10             ?  4.0 KiB',
        '1          -∞    m     1.2    2          3         8 (2)            10             ?  2.0 KiB',
        '2          m     \\xff  1.2    none       3             8            10             ?      0 B',
      ].join('\n'),
    );
  });

  test('for people, with roles while replicas come and go', () => {
    const [three, two, one] = shard({}).replicas;
    const replicas = [{ ...three, role: 'outgoing' } as const, two, { ...one, role: 'learner' } as const];
    const lines = statusTables({ ...status, shards: [shard({ replicas })] }).split('\n');
    expect(lines.at(-1)).toMatch(/ learner 8 \(2\) +10 +outgoing \? /);
  });

  test('for people, before the cluster is formed', () => {
    const text = statusTables({ ...status, shards: [] });
    expect(text).toMatch(/\n\nno shards yet$/);
    expect(text).toMatch(/\nplacement /);
  });

  test('for machines', () => {
    const json = JSON.parse(JSON.stringify(statusToJson(status))) as {
      nodes: unknown[];
      shards: { replicas: unknown[] }[];
      placement: { replicas: unknown[] };
    };
    expect(json.nodes[0]).toMatchObject({ id: 1, address: 'n1:7001', pid: 101, live: true, logBytes: 67_108_864 });
    expect(json.nodes[0]).toMatchObject({ snapshots: { sentBytes: 1, receivedBytes: 0, installed: 0 } });
    expect(json.nodes[1]).toMatchObject({ id: 2, stage: 'draining' });
    expect(json.nodes[2]).toMatchObject({
      stage: null,
      id: 3,
      address: 'n3:7001',
      pid: null,
      live: false,
      softwareVersion: null,
      logBytes: null,
      snapshots: null,
    });
    expect(json.shards[0]).toMatchObject({
      id: 1,
      start: '',
      end: 'm',
      epoch: { membership: 1, range: 2 },
      leader: 2,
      term: 3,
      bytes: 2048,
    });
    expect(json.shards[0].replicas).toEqual([
      { node: 1, replica: 5, role: 'voter', appliedIndex: 8, commitIndex: 9, live: true, lag: 2 },
      { node: 2, replica: 6, role: 'voter', appliedIndex: 10, commitIndex: 10, live: true, lag: 0 },
      { node: 3, replica: 7, role: 'voter', appliedIndex: null, commitIndex: null, live: false, lag: null },
    ]);
    expect(json.shards[1]).toMatchObject({ start: 'm', end: '\\xff', endBase64: '/w==', leader: null });
    expect(json.shards).toHaveLength(2);
    expect(json.placement).toMatchObject({ epoch: { membership: 1, range: 2 }, leader: 1, term: 5, bytes: 4096 });
    expect(json.placement.replicas[0]).toMatchObject({ node: 1, appliedIndex: 8, live: true, lag: 1 });
  });
});
