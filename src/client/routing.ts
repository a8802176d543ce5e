/** Where to send what: pure decisions over the shard map that a node gave. */
import { compareBytes, mapKey } from '../base/bytes.js';
import type { NodeId } from '../base/ids.js';
import type { ToldShardMap } from '../rpc/backend.js';
import { defaultMessageLimits, type MessageLimits } from '../rpc/message-limits.js';

/** Addresses to try for one range of keys, the leader's first. */
interface Route {
  readonly start: Uint8Array;
  /** Its start as the key of a map. */
  readonly name: string;
  readonly addresses: readonly string[];
}

export interface RoutingTable {
  /** Of the map; -1 before there is one. */
  readonly revision: number;
  /** By start, tiling the key space; empty before there is a map. */
  readonly routes: readonly Route[];
  /** Every node that is known: of the map, then the configured ones. */
  readonly addresses: readonly string[];
  /** Of all nodes, as far as the one knows that gave the map. */
  readonly messageLimits: MessageLimits;
}

/** Before a map is known, which operations wait for: any configured endpoint. */
export function initialTable(endpoints: readonly string[]): RoutingTable {
  return { revision: -1, routes: [], addresses: endpoints, messageLimits: defaultMessageLimits };
}

export function routingTable(map: ToldShardMap, endpoints: readonly string[]): RoutingTable {
  const addressOf = new Map<NodeId, string>(map.nodes.map(({ id, clientAddress }) => [id, clientAddress]));
  const known = (ids: readonly (NodeId | undefined)[]): string[] => {
    const addresses = new Set<string>();
    for (const id of ids) {
      const address = id === undefined ? undefined : addressOf.get(id);
      if (address !== undefined) addresses.add(address);
    }
    return [...addresses];
  };
  return {
    revision: map.revision,
    routes: map.shards.map(({ descriptor, leader }) => ({
      start: descriptor.start,
      name: mapKey(descriptor.start),
      addresses: known([leader, ...descriptor.replicas.map(({ node }) => node)]),
    })),
    addresses: [...new Set([...addressOf.values(), ...endpoints])],
    messageLimits: map.messageLimits,
  };
}

/**
 * The node for a key: the shard's leader, otherwise another replica, otherwise any node (they forward). Undefined
 * when none is available.
 *
 * @param avoid where this call has failed: taken only when nothing else is available
 */
export function chooseAddress(
  table: RoutingTable,
  key: Uint8Array,
  isAvailable: (address: string) => boolean,
  avoid: ReadonlySet<string> | undefined,
): string | undefined {
  const preferred = routeOf(table.routes, key)?.addresses ?? [];
  if (avoid === undefined && preferred.length > 0 && isAvailable(preferred[0])) return preferred[0];
  let fallback: string | undefined;
  for (const addresses of [preferred, table.addresses]) {
    for (const address of addresses) {
      if (!isAvailable(address)) continue;
      if (avoid?.has(address) !== true) return address;
      fallback ??= address;
    }
  }
  return fallback;
}

/** Names the range of keys that `key` is in. */
export function rangeOf(table: RoutingTable, key: Uint8Array): string {
  return routeOf(table.routes, key)?.name ?? '';
}

/** The last route that does not start after the key. */
function routeOf(routes: readonly Route[], key: Uint8Array): Route | undefined {
  let low = 0;
  let high = routes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(routes[middle].start, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? undefined : routes[low - 1];
}
