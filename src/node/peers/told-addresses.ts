/**
 * Where nodes listen of which neither the registry nor the configuration says it, by their own word, or by that of whom they lead. A node
 * needs that until it has the registry: one that joins, that comes back empty or was away, while a node leads the placement group that
 * was added meanwhile.
 *
 * Invariant: asked only where nothing else is known, so nobody can draw to himself what is for a node that is known.
 */
import type { NodeId } from '../../base/ids.js';
import { isAddress } from '../config/address.js';

export interface ToldAddress {
  readonly address: string;
  /** Of the node's data directory; undefined where another node has said where it listens. */
  readonly storeId: string | undefined;
}

/** One more, and what was told first is forgotten. */
const toldMax = 64;

export class ToldAddresses {
  readonly #told = new Map<NodeId, ToldAddress>();

  /** The newest counts: a node may have moved. What is no address counts for nothing. */
  learn(node: NodeId, told: ToldAddress): void {
    if (!isAddress(told.address)) return;
    this.#told.delete(node);
    this.#told.set(node, told);
    if (this.#told.size <= toldMax) return;
    const [first] = this.#told.keys();
    this.#told.delete(first);
  }

  of(node: NodeId): ToldAddress | undefined {
    return this.#told.get(node);
  }
}
