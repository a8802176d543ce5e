/**
 * Opens the data directory, or repairs one that is damaged, where that is wanted: the cluster retires it, it is put aside, and an empty
 * one takes its place, which gets all back ([decision](../../docs/decisions/2026-11-21-repair-from-peers.md)). A second time that needs a
 * person: a medium that damages what it holds is no place for the next copy.
 */
import { toHex } from '../../base/bytes.js';
import { QuorateError } from '../../base/errors.js';
import type { Env } from '../../env/env.js';
import type { ReplicaObserver } from '../../shard/replica-host.js';
import { damageIn, notedDamage } from './damage-note.js';
import { clusterIdOf, openIdentity, type Identity } from './identity.js';
import type { NodeOptions } from '../options.js';
import { findAside, finishPuttingAside, putAside } from './put-aside.js';
import { retire } from './retirement.js';
import { ShardHost } from '../replicas/shard-host.js';

/** For damage that a start need not meet: longer than the others need for an election. */
const notedMsMax = 10_000;

interface OpenedDirectory {
  readonly identity: Identity;
  readonly host: ShardHost;
}

/** Throws what is wrong with the directory: CorruptionErrors and, where the repair cannot be, QuorateErrors (CORRUPTION) that say why. */
export async function openDirectory(
  env: Env,
  options: NodeOptions,
  observer: ReplicaObserver | undefined,
): Promise<OpenedDirectory> {
  const { nodeId, cluster, dataDirectory: directory, limits, raft: timing, repair } = options;
  const random = env.random.split('identity');
  const expected = { clusterId: clusterIdOf(cluster), nodeId, random };
  await finishPuttingAside(env.disk, directory, expected);
  const identity = await openIdentity(env.disk, directory, expected);
  const open = (): Promise<ShardHost> => ShardHost.open({ env, directory, nodeId, limits, timing, observer });
  if (repair === 'manual') return { identity, host: await open() };
  const noted = await notedDamage(env.disk, directory);
  if (noted === undefined || !(await isReplacedNow(env, options, identity, noted))) {
    try {
      return { identity, host: await open() };
    } catch (error) {
      const damage = damageIn(error);
      if (damage === undefined) throw error;
      await replaceDirectory(env, options, identity, damage, Number.POSITIVE_INFINITY);
    }
  }
  return { identity: await openIdentity(env.disk, directory, expected), host: await open() };
}

/**
 * False where damage that was noted cannot be repaired now. The log may be whole, and so what the node has promised: then it goes on, as
 * where nothing repairs itself. To wait could be for ever, where the others have no majority without it. The next start asks again.
 */
async function isReplacedNow(env: Env, options: NodeOptions, identity: Identity, noted: Error): Promise<boolean> {
  try {
    await replaceDirectory(env, options, identity, noted, notedMsMax);
    return true;
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== 'CORRUPTION') throw error;
    env.logger.error('goes on with the damage that was noted, unless the start meets it', { reason: error.message });
    return false;
  }
}

/** Rejects with a QuorateError (CORRUPTION) where the directory is not replaced within `msMax`: nothing of it is changed then. */
async function replaceDirectory(
  env: Env,
  options: NodeOptions,
  identity: Identity,
  damage: Error,
  msMax: number,
): Promise<void> {
  const { disk, logger, clock, random } = env;
  const { dataDirectory: directory } = options;
  const { storeId } = identity;
  logger.error('the data directory is damaged: it is to be replaced', { damage: damage.message, storeId });
  try {
    await requireNoneAside();
    await retire(env, options, identity, msMax);
  } catch (error) {
    const message = `${damage.message}; it is not repaired from the other nodes: ${(error as Error).message}`;
    throw new QuorateError('CORRUPTION', message, { cause: damage });
  }
  logger.warn('the cluster has taken the damaged data directory out of use', { storeId });
  const next = toHex(random.split('repair').bytes(16));
  await putAside(disk, directory, { identity, storeId: next, wallMicros: clock.wallMicros() });
  const aside = await findAside(disk, directory);
  logger.warn('the damaged data directory was put aside: the node comes back with an empty one', {
    storeId: next,
    aside,
  });

  async function requireNoneAside(): Promise<void> {
    const earlier = await findAside(disk, directory);
    if (earlier === undefined) return;
    const message = `${directory}/${earlier} is from an earlier repair: look at the medium, and move away what is named so`;
    throw new QuorateError('INVALID_ARGUMENT', message);
  }
}
