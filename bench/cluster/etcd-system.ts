/** The rival: three members of etcd (Debian: etcd-server) with its default settings. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { freePorts } from '../../src/platform/free-ports.js';
import { etcdCalls } from './calls.js';
import { keyOf, valueOf } from './keys.js';
import { metric } from './prometheus.js';
import type { DataOptions, InnerCounters, RunningSystem } from './system.js';
import { UnaryClient } from './unary-client.js';

interface Member {
  readonly name: string;
  readonly endpoint: string;
  readonly process: ChildProcess;
}

export const etcdName = 'etcd';

const memberCount = 3;
const pollEveryMs = 100;
const readyMsMax = 30_000;
const preloadInFlight = 256;

export async function startEtcd(data: DataOptions): Promise<RunningSystem> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-bench-etcd-'));
  const members = await spawnMembers(folder);
  const dispose = async (): Promise<void> => {
    await Promise.all(members.map(({ process }) => kill(process)));
    rmSync(folder, { recursive: true });
  };
  try {
    const leader = await leaderOf(members);
    const others = members.filter((member) => member !== leader);
    await preload(leader.endpoint, data);
    return {
      calls: etcdCalls,
      endpoints: members.map(({ endpoint }) => endpoint),
      leader: leader.endpoint,
      follower: others[0].endpoint,
      cannedKey: keyOf(0),
      keysOfOneShard: Array.from({ length: data.keys }, (_, n) => keyOf(n)),
      processes: [leader, ...others].map(({ name, endpoint, process }) => ({
        name,
        pid: Number(process.pid),
        inner: () => innerCounters(endpoint),
      })),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function spawnMembers(folder: string): Promise<Member[]> {
  const ports = await freePorts(memberCount * 2);
  const places = Array.from({ length: memberCount }, (_, i) => ({
    name: `member-${i + 1}`,
    endpoint: `127.0.0.1:${ports[2 * i]}`,
    peerUrl: `http://127.0.0.1:${ports[2 * i + 1]}`,
  }));
  const everybody = places.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  return places.map(({ name, endpoint, peerUrl }) => {
    const settings: Readonly<Record<string, string>> = {
      name,
      'data-dir': join(folder, name),
      'listen-client-urls': `http://${endpoint}`,
      'advertise-client-urls': `http://${endpoint}`,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': everybody,
      'initial-cluster-state': 'new',
      'log-level': 'error',
    };
    const args = Object.entries(settings).flatMap(([setting, value]) => [`--${setting}`, value]);
    return { name, endpoint, process: spawn('etcd', args, { stdio: 'ignore' }) };
  });
}

/** When all members answer and one of them leads. */
async function leaderOf(members: readonly Member[]): Promise<Member> {
  const giveUpMs = performance.now() + readyMsMax;
  while (performance.now() < giveUpMs) {
    try {
      const pages = await Promise.all(members.map(({ endpoint }) => metricsOf(endpoint)));
      const leader = pages.findIndex((page) => metric(page, 'etcd_server_is_leader') === 1);
      const areLed = pages.every((page) => metric(page, 'etcd_server_has_leader') === 1);
      if (leader >= 0 && areLed) return members[leader];
    } catch {
      // It does not listen yet.
    }
    await setTimeout(pollEveryMs);
  }
  throw new Error(`etcd had no leader within ${readyMsMax} ms`);
}

async function metricsOf(endpoint: string): Promise<string> {
  const response = await fetch(`http://${endpoint}/metrics`);
  return response.text();
}

async function innerCounters(endpoint: string): Promise<InnerCounters> {
  const page = await metricsOf(endpoint);
  return {
    syncs: metric(page, 'etcd_disk_wal_fsync_duration_seconds_count'),
    gcMs: metric(page, 'go_gc_duration_seconds_sum') * 1000,
  };
}

async function preload(endpoint: string, { keys, valueBytes }: DataOptions): Promise<void> {
  using client = new UnaryClient([endpoint], 1);
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < keys) {
      const n = next++;
      await client.call(etcdCalls.put(keyOf(n), valueOf(valueBytes, n)));
    }
  };
  await Promise.all(Array.from({ length: preloadInFlight }, caller));
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
