import { resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { defaultLimits } from '../../../src/base/limits.js';
import { loadConfig, printConfig, type ConfigSources } from '../../../src/node/config/config.js';
import { ConfigError } from '../../../src/node/config/error.js';
import { settings } from '../../../src/node/config/schema.js';
import { variableName } from '../../../src/node/config/sources.js';
import { editDistance, nearest } from '../../../src/node/config/suggest.js';
import { defaultRaftTiming } from '../../../src/node/options.js';

const threeNodes = `cluster:
  nodes:
    - { id: 3, clientAddress: n3:7001, peerAddress: n3:7101 }
    - { id: 1, clientAddress: n1:7001, peerAddress: n1:7101 }
    - { id: 2, clientAddress: n2:7001, peerAddress: n2:7101 }
`;
const minimal = `${threeNodes}nodeId: 2\ndataDirectory: /var/lib/quorate\n`;

function file(text: string): ConfigSources {
  return { file: { name: 'node.yaml', text } };
}

/** The lines of the error, without its heading. */
function problems(sources: ConfigSources): string[] {
  try {
    loadConfig(sources);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
  return [];
}

describe('a valid configuration', () => {
  test('needs nodes, a node id and a data directory; everything else has a default', () => {
    const { options, logging } = loadConfig(file(minimal));
    expect(options).toEqual({
      cluster: {
        name: 'quorate',
        nodes: [1, 2, 3].map((id) => ({ id, clientAddress: `n${id}:7001`, peerAddress: `n${id}:7101` })),
        initialShards: 8,
        replicationFactor: 3,
      },
      nodeId: 2,
      dataDirectory: '/var/lib/quorate',
      clientAddress: 'n2:7001',
      peerAddress: 'n2:7101',
      clientListen: 'n2:7001',
      peerListen: 'n2:7101',
      raft: defaultRaftTiming,
      requestTimeoutMsDefault: 5000,
      requestTimeoutMsMax: 60_000,
      drainMsMax: 5000,
      backgroundThreads: 1,
      repair: 'manual',
      limits: defaultLimits,
    });
    expect(logging).toEqual({ level: 'info', format: 'json' });
  });

  test('flags win over the environment, the environment over the file, the file over defaults', () => {
    const base = `${minimal}drainMsMax: 1\nbackgroundThreads: 2\nrequestTimeoutMsDefault: 3\n`;
    const { options } = loadConfig({
      ...file(base),
      environment: { QUORATE_DRAIN_MS_MAX: '10', QUORATE_BACKGROUND_THREADS: '20', PATH: '/bin' },
      flags: ['drainMsMax=100'],
    });
    expect(options.drainMsMax).toBe(100);
    expect(options.backgroundThreads).toBe(20);
    expect(options.requestTimeoutMsDefault).toBe(3);
    expect(options.requestTimeoutMsMax).toBe(60_000);
  });

  test('the environment alone is enough, lists are YAML', () => {
    const { options, logging } = loadConfig({
      environment: {
        QUORATE_NODE_ID: '1',
        QUORATE_CLUSTER_NAME: '42',
        QUORATE_DATA_DIRECTORY: 'data',
        QUORATE_CLUSTER_NODES: '[{ id: 1, clientAddress: "[::1]:7001", peerAddress: n1:7101 }]',
        QUORATE_LIMITS_KEY_BYTES_MAX: '8KiB',
        QUORATE_LOGGING_LEVEL: 'debug',
        QUORATE_PORT: '7001',
        QUORATE_SERVICE_HOST: '10.0.0.1',
        QUORATE_1_PORT_7001_TCP: 'tcp://10.0.0.1:7001',
      },
    });
    expect(options.cluster.name).toBe('42');
    expect(options.cluster.replicationFactor).toBe(1);
    expect(options.limits.keyBytesMax).toBe(8192);
    expect(options.dataDirectory).toBe(resolve('data'));
    expect(options.clientListen).toBe('[::1]:7001');
    expect(logging.level).toBe('debug');
  });

  test('of a node that joins later says by itself where it can be reached', () => {
    const flags = ['nodeId=4', 'clientAddress=n4:7001', 'peerAddress=n4:7101', 'clientListen=0.0.0.0:7001'];
    const { options } = loadConfig({ ...file(minimal), flags });
    expect(options).toMatchObject({ nodeId: 4, clientAddress: 'n4:7001', peerAddress: 'n4:7101' });
    expect(options).toMatchObject({ clientListen: '0.0.0.0:7001', peerListen: 'n4:7101' });
    expect(options.cluster.nodes.map(({ id }) => id)).toEqual([1, 2, 3]);
  });

  test.each([
    ['64 MiB', 64 * 1024 * 1024],
    ['134217728', 134_217_728],
    ['1GiB', 1024 ** 3],
  ])('bytes as %s', (text, bytes) => {
    const { options } = loadConfig(file(`${minimal}limits:\n  blockCacheBytesMax: ${text}\n`));
    expect(options.limits.blockCacheBytesMax).toBe(bytes);
  });

  test('what is printed reads back to the same', () => {
    const config = loadConfig({ ...file(minimal), flags: ['limits.memtableBytesMax=4MiB', 'logging.format=pretty'] });
    expect(loadConfig(file(printConfig(config)))).toEqual(config);
  });

  test('every setting has a variable of its own', () => {
    const names = settings.map((setting) => variableName(setting.path));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('QUORATE_RAFT_ELECTION_TICKS_MIN');
    expect(names).toContain('QUORATE_LIMITS_NODE_OPERATIONS_IN_FLIGHT_MAX');
  });
});

describe('a configuration that is refused', () => {
  const table: readonly (readonly [name: string, sources: ConfigSources, lines: readonly string[]])[] = [
    ['nothing at all', {}, ['cluster.nodes: must be given', 'nodeId: must be given', 'dataDirectory: must be given']],
    ['a list for a file', file('- 1'), ['node.yaml: expected `key: value` lines']],
    [
      'text that is no YAML',
      file('a: [1,'),
      [
        'node.yaml: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ] at line 1, column 7',
      ],
    ],
    [
      'a misspelt key',
      file(`${minimal}dataDirectry: x\n`),
      ['dataDirectry (node.yaml): unknown key; did you mean dataDirectory?'],
    ],
    [
      'a misspelt key in a section',
      file(`${minimal}limits: { keyByteMax: 1 }\n`),
      ['limits.keyByteMax (node.yaml): unknown key; did you mean limits.keyBytesMax?'],
    ],
    [
      'a key in the wrong place',
      file(`${minimal}keyBytesMax: 1\n`),
      ['keyBytesMax (node.yaml): unknown key; did you mean limits.keyBytesMax?'],
    ],
    ['a key like no other', file(`${minimal}colour: red\n`), ['colour (node.yaml): unknown key']],
    [
      'a misspelt key of a node',
      {
        ...file(`nodeId: 1\ndataDirectory: x\n`),
        flags: ['cluster.nodes=[{id: 1, clientAdress: a:1, peerAddress: a:2}]'],
      },
      [
        'cluster.nodes[0].clientAddress (flag): expected host:port (an IPv6 host in brackets, a port from 1 to 65535)',
        'cluster.nodes[0].clientAdress (flag): unknown key; did you mean clientAddress?',
      ],
    ],
    [
      'a misspelt variable',
      { ...file(minimal), environment: { QUORATE_NODEID: '2' } },
      ['QUORATE_NODEID: unknown environment variable; did you mean QUORATE_NODE_ID?'],
    ],
    [
      'a misspelt flag',
      { ...file(minimal), flags: ['raft.tickMS=2', 'nodeId'] },
      ['raft.tickMS (flag): unknown key; did you mean raft.tickMs?', 'nodeId (flag): expected path=value'],
    ],
    [
      'values of the wrong kind, from everywhere at once',
      {
        ...file(
          `${minimal}raft: 7\nlogging: { level: loud }\nlimits: { keyBytesMax: 4.5, memtableBytesMax: 3 apples }\n`,
        ),
        environment: { QUORATE_DRAIN_MS_MAX: 'soon', QUORATE_CLIENT_LISTEN: 'localhost' },
        flags: ['backgroundThreads=0'],
      },
      [
        'raft (node.yaml): expected settings under this key',
        'clientListen (QUORATE_CLIENT_LISTEN): expected host:port (an IPv6 host in brackets, a port from 1 to 65535)',
        'drainMsMax (QUORATE_DRAIN_MS_MAX): expected a whole number from 1 to 86400000',
        'backgroundThreads (flag): expected a whole number from 1 to 64',
        'limits.keyBytesMax (node.yaml): expected bytes: a whole number like 65536, or one with B, KiB, MiB or GiB like 64MiB',
        'limits.memtableBytesMax (node.yaml): expected bytes: a whole number like 65536, or one with B, KiB, MiB or GiB like 64MiB',
        'logging.level (node.yaml): expected one of debug, info, warn, error',
      ],
    ],
    [
      'a node id that is not in the list',
      { ...file(minimal), flags: ['nodeId=4'] },
      [
        'nodeId (flag): 4 is not in cluster.nodes, which has 1, 2, 3; a node that joins the cluster later needs clientAddress and peerAddress',
      ],
    ],
    [
      'nodes that share an id and an address',
      file(`${minimal.replace('id: 1', 'id: 3').replace('n2:7101', 'n3:7101')}`),
      [
        'cluster.nodes[1].id (node.yaml): 3 is also the id of cluster.nodes[0]',
        'cluster.nodes[2].peerAddress (node.yaml): n3:7101 is also cluster.nodes[0].peerAddress',
      ],
    ],
    [
      'replicas that the nodes cannot hold',
      { ...file(minimal), flags: ['cluster.replicationFactor=4'] },
      [
        'cluster.replicationFactor (flag): 4 replicas need as many nodes, and cluster.nodes has 3',
        'cluster.replicationFactor (flag): must be odd: 4 replicas survive the loss of no more nodes than 3',
      ],
    ],
    [
      'timing that cannot work',
      {
        ...file(minimal),
        flags: ['raft.heartbeatTicks=20', 'raft.electionTicksMin=20', 'requestTimeoutMsDefault=90000'],
      },
      [
        'raft.heartbeatTicks (flag): 20 must be below raft.electionTicksMin (20), or followers give up on a live leader',
        'raft.electionTicksMin (flag): 20 must be below raft.electionTicksMax (20), or candidates split the vote again and again',
        'requestTimeoutMsDefault (flag): 90000 must be at most requestTimeoutMsMax (60000)',
      ],
    ],
    [
      'retries that outlast what is remembered of requests',
      { ...file(minimal), flags: ['requestTimeoutMsMax=60000', 'limits.requestIdRetentionMs=120000'] },
      [
        'requestTimeoutMsMax (flag): 60000 must be below half of limits.requestIdRetentionMs (120000), or a write that is tried again may be done again',
      ],
    ],
    [
      'one address for both ports',
      { ...file(minimal), flags: ['clientListen=0.0.0.0:7', 'peerListen=0.0.0.0:7'] },
      ['peerListen (flag): 0.0.0.0:7 is also clientListen'],
    ],
    [
      'limits that disagree',
      { ...file(minimal), flags: ['limits.valueBytesMax=64MiB'] },
      [
        'limits: requestBytesMax must hold one key and value of maximal size',
        'limits: unsentAnswerBytesMax must hold one response of requestBytesMax, and four values of maximal size',
        'limits: entryBytesMax must hold one key and value of maximal size',
        'limits: peerFrameBytesMax must hold a page of a scan of scanPageBytesMax and one more record',
      ],
    ],
    [
      'a size in a unit that is not known',
      { ...file(minimal), flags: ['limits.blockCacheBytesMax=8XB'] },
      [
        'limits.blockCacheBytesMax (flag): expected bytes: a whole number like 65536, or one with B, KiB, MiB or GiB like 64MiB',
      ],
    ],
    [
      'values that are not valid and values that disagree, at once',
      {
        flags: [
          'nodeId=x',
          'drainMsMax=soon',
          'raft.electionTicksMin=20',
          'raft.heartbeatTicks=none',
          'cluster.replicationFactor=2',
          'limits.keyBytesMax=-1',
          'limits.peerQueueBytesMax=1KiB',
        ],
      },
      [
        'cluster.nodes: must be given',
        'nodeId (flag): expected a whole number at least 1',
        'dataDirectory: must be given',
        'drainMsMax (flag): expected a whole number from 1 to 86400000',
        'raft.heartbeatTicks (flag): expected a whole number from 1 to 10000',
        'limits.keyBytesMax (flag): expected bytes: a whole number like 65536, or one with B, KiB, MiB or GiB like 64MiB',
        'cluster.replicationFactor (flag): must be odd: 2 replicas survive the loss of no more nodes than 1',
        'raft.electionTicksMin (flag): 20 must be below raft.electionTicksMax (20), or candidates split the vote again and again',
        'limits: peerQueueBytesMax must hold one frame of peerFrameBytesMax',
      ],
    ],
    [
      'unknown keys and settings that disagree, at once',
      { ...file(`${minimal}colour: red\nnodeId: 9\n`.replace('nodeId: 2\n', '')) },
      [
        'colour (node.yaml): unknown key',
        'nodeId (node.yaml): 9 is not in cluster.nodes, which has 1, 2, 3; a node that joins the cluster later needs clientAddress and peerAddress',
      ],
    ],
  ];

  test.each(table)('%s', (_name, sources, lines) => {
    expect(problems(sources)).toEqual(lines);
  });
});

describe('suggestions', () => {
  test.each([
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['ab', 'ba', 1],
    ['same', 'same', 0],
  ])('distance of %j and %j is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });

  test('ignore capitals, dashes and underscores', () => {
    expect(nearest('node-id', ['nodeId', 'dataDirectory'])).toBe('nodeId');
    expect(nearest('xyz', ['nodeId', 'dataDirectory'])).toBeUndefined();
  });
});
