/** A client in another language, made from proto/ alone. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCluster } from 'quorate/testing';
import { expect, test } from 'vitest';
import { run, skipTest } from './support.js';

/** The second is Debian's, for which `apt-get install python3-grpcio protobuf-compiler` brings what is needed. */
const pythons = ['python3', '/usr/bin/python3'];
const python = pythons.find((path) => spawnSync(path, ['-c', 'import grpc, google.protobuf']).status === 0);
const compiles =
  spawnSync('protoc', ['--version']).status === 0 ||
  (python !== undefined && spawnSync(python, ['-c', 'import grpc_tools.protoc']).status === 0);

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

test('a Python client with nothing but proto/ does everything', async (context) => {
  if (python === undefined || !compiles) skipTest(context, 'needs python3-grpcio and protobuf-compiler');
  await using cluster = await startCluster({ nodes: 3, shards: 4 });
  const folder = mkdtempSync(join(tmpdir(), 'quorate-python-'));
  try {
    const script = [path('foreign_client.py'), path('../../proto'), folder, cluster.endpoints[1]];
    const { status, stdout, stderr } = await run(python, script, { PYTHONDONTWRITEBYTECODE: '1' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.toString().trim().split('\n')).toEqual([
      'put_get_delete',
      'atomic_batch',
      'conditions',
      'request_ids',
      'scan',
      'stream',
      'error_details',
      'shard_map',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
