import { describe, expect, it } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.js';
import type { ToldShardMap } from '../../src/rpc/backend.js';
import { chooseAddress, initialTable, rangeOf, routingTable } from '../../src/client/routing.js';
import { defaultMessageLimits } from '../../src/rpc/message-limits.js';
import { twoShardMap } from '../rpc/fake-backend.js';

const addresses = ['n1:1', 'n2:1', 'n3:1'];
const told = (...map: Parameters<typeof twoShardMap>): ToldShardMap => {
  return { ...twoShardMap(...map), messageLimits: defaultMessageLimits };
};
const table = routingTable(told(4, addresses, [2, 3]), ['n1:1', 'seed:1']);
const all = (): boolean => true;
const allBut =
  (...down: string[]) =>
  (address: string): boolean =>
    !down.includes(address);

describe('rangeOf', () => {
  it('is the same for all keys of a shard, and another for each shard', () => {
    const [first, last] = [rangeOf(table, utf8('a')), rangeOf(table, utf8('m'))];
    expect(first).not.toBe(last);
    expect(rangeOf(table, utf8('l\xff'))).toBe(first);
    expect(rangeOf(table, utf8('z'))).toBe(last);
  });

  it('stays the same when leaders and nodes change', () => {
    const later = routingTable(told(5, [...addresses].reverse(), [1, 1]), []);
    for (const key of ['a', 'z']) expect(rangeOf(later, utf8(key))).toBe(rangeOf(table, utf8(key)));
  });
});

describe('chooseAddress', () => {
  it.each<[string, Uint8Array, (address: string) => boolean, readonly string[] | undefined, string | undefined]>([
    ['the leader of the first shard', utf8('a'), all, undefined, 'n2:1'],
    ['the leader of the second shard', utf8('z'), all, undefined, 'n3:1'],
    ['the second shard for its first key', utf8('m'), all, undefined, 'n3:1'],
    ['the first shard for the last key before', utf8('l\xff'), all, undefined, 'n2:1'],
    ['the first shard for the empty key', emptyBytes, all, undefined, 'n2:1'],
    ['a replica when the leader is down', utf8('a'), allBut('n2:1'), undefined, 'n1:1'],
    ['another replica when one is down too', utf8('a'), allBut('n1:1', 'n2:1'), undefined, 'n3:1'],
    ['a configured endpoint when all nodes are down', utf8('a'), allBut(...addresses), undefined, 'seed:1'],
    ['nothing when everything is down', utf8('a'), allBut(...addresses, 'seed:1'), undefined, undefined],
    ['another node than the one to avoid', utf8('a'), all, ['n2:1'], 'n1:1'],
    ['a configured endpoint when all nodes are to be avoided', utf8('a'), all, addresses, 'seed:1'],
    ['the one to avoid when nothing else is up', utf8('a'), (address) => address === 'n2:1', ['n2:1'], 'n2:1'],
    ['the leader when everything is to be avoided', utf8('a'), all, [...addresses, 'seed:1'], 'n2:1'],
  ])('takes %s', (_, key, isAvailable, avoid, expected) => {
    expect(chooseAddress(table, key, isAvailable, avoid && new Set(avoid))).toBe(expected);
  });

  it('takes a replica where no leader is known', () => {
    const leaderless = routingTable(told(1, addresses, [undefined, 3]), []);
    expect(chooseAddress(leaderless, utf8('a'), all, undefined)).toBe('n1:1');
  });

  it('takes any endpoint before there is a map', () => {
    expect(chooseAddress(initialTable(['seed:1']), utf8('a'), all, undefined)).toBe('seed:1');
  });

  it('knows the nodes of the map and the endpoints', () => {
    expect(table.addresses).toEqual(['n1:1', 'n2:1', 'n3:1', 'seed:1']);
  });
});
