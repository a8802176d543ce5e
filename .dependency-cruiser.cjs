/**
 * The import rule (docs/architecture.md, "Layout and import rule").
 * `may` lists what a folder of src/ may import besides itself.
 */
const all = [
  'base',
  'env',
  'raft',
  'log',
  'lsm',
  'mvcc',
  'shard',
  'txn',
  'placement',
  'rpc',
  'client',
  'platform',
  'node',
  'sim',
  'cli',
];
const allBut = (...names) => all.filter((name) => !names.includes(name));
const may = {
  base: [],
  env: ['base'],
  raft: ['base'],
  log: ['base', 'env', 'raft'],
  lsm: ['base', 'env'],
  mvcc: ['base', 'lsm'],
  shard: ['raft', 'log', 'mvcc', 'env', 'base'],
  txn: ['base', 'env', 'mvcc'],
  placement: ['base', 'env', 'shard', 'mvcc'],
  rpc: ['base', 'env', 'raft', 'mvcc', 'shard', 'placement', 'txn'],
  client: ['base', 'rpc'],
  platform: ['base', 'env', 'rpc'],
  node: allBut('cli', 'sim', 'client'),
  sim: allBut('platform', 'cli'),
  cli: ['node', 'client', 'base', 'env', 'sim', 'platform'],
};

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: ['\\.d\\.ts$'] }, to: {} },
    ...Object.entries(may).map(([folder, allowed]) => ({
      name: `imports-of-${folder}`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: {
        path: '^(src|jepsen-lite|bench|test)/',
        pathNot:
          `^src/(${[folder, ...allowed].join('|')})/` +
          (folder === 'sim' || folder === 'cli' ? '|^jepsen-lite/checker/' : ''),
      },
    })),
    {
      name: 'grpc-only-in-rpc-and-client',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(rpc|client)/' },
      to: { path: 'node_modules/(@grpc|protobufjs|grpc-health-check)' },
    },
    {
      name: 'checker-stands-alone',
      comment: 'A checker that shares code with what it checks can share its bugs.',
      severity: 'error',
      from: { path: '^jepsen-lite/checker/' },
      to: { path: '^src/' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
