/**
 * The order of a memtable's entries: a B+-tree of references to them. It lies in two arrays of numbers that grow, so
 * that nothing of it is an object to the garbage collector.
 *
 * A node has up to 64 references in order, and of each key the *head*: four bytes behind what all keys of the node
 * share. A search compares heads, which lie side by side, and looks at an entry only where heads are equal. The
 * references of an inner node separate its children: each is the first entry that its right child had when it was made.
 *
 * Invariants:
 * - All keys of a node agree in their first `skip` bytes, and its heads are what follows those.
 * - Entries of a child are at or after the separator on its left, and at or before the one on its right.
 * - Of equal entries (same key, same version) the one that was inserted later comes first.
 * - `changes` counts insertions; a place is good until it has changed.
 */
import { assert } from '../../base/assert.js';
import { headOf, type EntryArena } from './entry-arena.js';

const fanoutBits = 6;
/** References in a node at most. */
const fanout = 1 << fanoutBits;
/** Where a node of `#nodes` has what; heads and references follow. */
const countField = 0;
const skipField = 1;
/** Leaves: the next and the previous one, -1 at the ends. Inner nodes: where their children are, and nothing. */
const nextField = 2;
const previousField = 3;
const childrenField = 2;
const headsAt = 4;
const referencesAt = headsAt + fanout;
const nodeWords = referencesAt + fanout;
/** An inner node has one child more than references. */
const childrenWords = fanout + 1;
/** 64^5 / 2^5 entries at the least: more than there are references. */
const heightMax = 7;
const growthWordsMax = 256 * 1024;

/** No place. */
export const noPlace = -1;

export class EntryIndex {
  readonly #arena: EntryArena;
  #nodes = new Int32Array(nodeWords);
  #nodesUsed = nodeWords;
  #children = new Int32Array(0);
  #childrenUsed = 0;
  /** Nodes are known by where they begin in `#nodes`. */
  #root = 0;
  /** Levels of inner nodes above the leaves. */
  #height = 0;
  #firstLeaf = 0;
  #lastLeaf = 0;
  #changes = 0;
  /** The inner nodes from the root to the leaf that `#descend` found, and which child it took in each. */
  readonly #path = new Int32Array(heightMax);
  readonly #pathPosition = new Int32Array(heightMax);

  constructor(arena: EntryArena) {
    this.#arena = arena;
    this.#nodes[nextField] = -1;
    this.#nodes[previousField] = -1;
  }

  get memoryBytes(): number {
    return this.#nodes.byteLength + this.#children.byteLength;
  }

  get changes(): number {
    return this.#changes;
  }

  /** The place of the first entry at or after (key, version). */
  seek(key: Uint8Array, version: number): number {
    const leaf = this.#descend(key, version);
    return this.#placeFrom(leaf, this.#lowerBound(leaf, key, version));
  }

  /** The place of the last entry before (key, version). */
  seekBefore(key: Uint8Array, version: number): number {
    const leaf = this.#descend(key, version);
    return this.#placeUpTo(leaf, this.#lowerBound(leaf, key, version) - 1);
  }

  first(): number {
    return this.#placeFrom(this.#firstLeaf, 0);
  }

  last(): number {
    return this.#placeUpTo(this.#lastLeaf, this.#nodes[this.#lastLeaf + countField] - 1);
  }

  after(place: number): number {
    return this.#placeFrom(this.#leafOf(place), (place & (fanout - 1)) + 1);
  }

  before(place: number): number {
    return this.#placeUpTo(this.#leafOf(place), (place & (fanout - 1)) - 1);
  }

  /** The entry at a place. */
  at(place: number): number {
    return this.#nodes[this.#leafOf(place) + referencesAt + (place & (fanout - 1))];
  }

  /** All entries in order. */
  references(): Int32Array {
    const parts: Int32Array[] = [];
    let length = 0;
    for (let leaf = this.#firstLeaf; leaf >= 0; leaf = this.#nodes[leaf + nextField]) {
      const count = this.#nodes[leaf + countField];
      parts.push(this.#nodes.subarray(leaf + referencesAt, leaf + referencesAt + count));
      length += count;
    }
    const all = new Int32Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** Where an entry is that was inserted. */
  placeOf(reference: number): number {
    const key = this.#arena.keyOf(reference);
    let place = this.seek(key, this.#arena.versionOf(reference));
    while (this.at(place) !== reference) place = this.after(place);
    return place;
  }

  #leafOf(place: number): number {
    return (place >>> fanoutBits) * nodeWords;
  }

  #placeFrom(leaf: number, position: number): number {
    if (position >= this.#nodes[leaf + countField]) {
      leaf = this.#nodes[leaf + nextField];
      if (leaf < 0) return noPlace;
      position = 0;
    }
    return ((leaf / nodeWords) << fanoutBits) | position;
  }

  #placeUpTo(leaf: number, position: number): number {
    if (position < 0) {
      leaf = this.#nodes[leaf + previousField];
      if (leaf < 0) return noPlace;
      position = this.#nodes[leaf + countField] - 1;
    }
    return ((leaf / nodeWords) << fanoutBits) | position;
  }

  /** The leaf in which (key, version) belongs before all that is equal to it. Notes the path. */
  #descend(key: Uint8Array, version: number): number {
    let node = this.#root;
    for (let level = 0; level < this.#height; level++) {
      const position = this.#lowerBound(node, key, version);
      this.#path[level] = node;
      this.#pathPosition[level] = position;
      node = this.#children[this.#nodes[node + childrenField] + position];
    }
    return node;
  }

  /** The position of the node's first reference at or after (key, version). */
  #lowerBound(node: number, key: Uint8Array, version: number): number {
    const nodes = this.#nodes;
    const count = nodes[node + countField];
    if (count === 0) return 0;
    const skip = nodes[node + skipField];
    if (skip > 0) {
      const first = nodes[node + referencesAt];
      if (this.#arena.sharedPrefixWith(first, key, skip) < skip) {
        return this.#arena.compare(first, key, version, 0) < 0 ? count : 0;
      }
    }
    const head = headOf(key, skip, key.length);
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = nodes[node + headsAt + middle];
      const isBefore =
        other === head
          ? this.#arena.compare(nodes[node + referencesAt + middle], key, version, skip) < 0
          : other < head;
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether (key, version) comes after all entries and the last leaf has room: entries that come in order need no search. */
  #appends(key: Uint8Array, version: number): boolean {
    const leaf = this.#lastLeaf;
    const count = this.#nodes[leaf + countField];
    if (count === 0 || count === fanout) return false;
    return this.#arena.compare(this.#nodes[leaf + referencesAt + count - 1], key, version, 0) < 0;
  }

  /** @param key of the entry */
  insert(reference: number, key: Uint8Array, version: number): void {
    this.#changes++;
    if (this.#appends(key, version)) {
      this.#insertAt(this.#lastLeaf, this.#nodes[this.#lastLeaf + countField], reference, key);
      return;
    }
    const leaf = this.#descend(key, version);
    const position = this.#lowerBound(leaf, key, version);
    if (this.#nodes[leaf + countField] < fanout) {
      this.#insertAt(leaf, position, reference, key);
      return;
    }
    const right = this.#splitLeaf(leaf, position);
    const kept = this.#nodes[leaf + countField];
    if (position < kept) this.#insertAt(leaf, position, reference, key);
    else this.#insertAt(right, position - kept, reference, key);
    this.#insertChild(this.#height - 1, this.#nodes[right + referencesAt], right);
  }

  /** Makes the right neighbour of a full leaf. Where entries come in order leaves stay full. */
  #splitLeaf(leaf: number, position: number): number {
    const right = this.#addNode();
    const nodes = this.#nodes;
    const next = nodes[leaf + nextField];
    nodes[leaf + nextField] = right;
    nodes[right + previousField] = leaf;
    nodes[right + nextField] = next;
    if (next < 0) this.#lastLeaf = right;
    else nodes[next + previousField] = right;
    const isAppend = next < 0 && position === fanout;
    if (!isAppend) this.#moveUpper(leaf, right, fanout / 2);
    return right;
  }

  /** Moves the references from position `from` on to an empty node. */
  #moveUpper(node: number, to: number, from: number): void {
    const nodes = this.#nodes;
    const count = nodes[node + countField];
    nodes.copyWithin(to + referencesAt, node + referencesAt + from, node + referencesAt + count);
    nodes[to + countField] = count - from;
    nodes[node + countField] = from;
    this.#computeHeads(node);
    this.#computeHeads(to);
  }

  /** Puts a separator and the child to the right of it where the path says; splits inner nodes that are full. */
  #insertChild(level: number, separator: number, child: number): void {
    if (level < 0) {
      this.#growRoot(separator, child);
      return;
    }
    const node = this.#path[level];
    const position = this.#pathPosition[level];
    if (this.#nodes[node + countField] < fanout) {
      this.#insertChildAt(node, position, separator, child);
      return;
    }
    // The reference in the middle goes up: it separates the halves.
    const right = this.#addInner();
    const middle = fanout / 2;
    const up = this.#nodes[node + referencesAt + middle];
    const from = this.#nodes[node + childrenField];
    this.#children.copyWithin(this.#nodes[right + childrenField], from + middle + 1, from + fanout + 1);
    this.#moveUpper(node, right, middle + 1);
    this.#nodes[node + countField] = middle;
    this.#computeHeads(node);
    if (position <= middle) this.#insertChildAt(node, position, separator, child);
    else this.#insertChildAt(right, position - middle - 1, separator, child);
    this.#insertChild(level - 1, up, right);
  }

  #growRoot(separator: number, child: number): void {
    assert(this.#height < heightMax, 'a memtable has at most 7 levels of inner nodes');
    const root = this.#addInner();
    this.#children[this.#nodes[root + childrenField]] = this.#root;
    this.#insertChildAt(root, 0, separator, child);
    this.#root = root;
    this.#height++;
  }

  #insertChildAt(node: number, position: number, separator: number, child: number): void {
    const children = this.#nodes[node + childrenField];
    const count = this.#nodes[node + countField];
    this.#insertAt(node, position, separator, this.#arena.keyOf(separator));
    for (let i = count; i > position; i--) this.#children[children + i + 1] = this.#children[children + i];
    this.#children[children + position + 1] = child;
  }

  /** @param key of the entry */
  #insertAt(node: number, position: number, reference: number, key: Uint8Array): void {
    const nodes = this.#nodes;
    const count = nodes[node + countField]++;
    const heads = node + headsAt;
    const references = node + referencesAt;
    for (let i = count; i > position; i--) {
      nodes[heads + i] = nodes[heads + i - 1];
      nodes[references + i] = nodes[references + i - 1];
    }
    nodes[references + position] = reference;
    const skip = nodes[node + skipField];
    const other = nodes[references + (position === 0 ? 1 : 0)];
    // A node that has doubled may share more than when it was small, or was not known to share anything.
    const isDoubled = (count & (count + 1)) === 0;
    if (isDoubled || (skip > 0 && this.#arena.sharedPrefixWith(other, key, skip) < skip)) this.#computeHeads(node);
    else nodes[heads + position] = headOf(key, skip, key.length);
  }

  #computeHeads(node: number): void {
    const nodes = this.#nodes;
    const count = nodes[node + countField];
    const references = node + referencesAt;
    // What the first and the last in order share, all of them share.
    const skip = count < 2 ? 0 : this.#arena.sharedPrefix(nodes[references], nodes[references + count - 1]);
    nodes[node + skipField] = skip;
    for (let i = 0; i < count; i++) nodes[node + headsAt + i] = this.#arena.headAt(nodes[references + i], skip);
  }

  #addNode(): number {
    const node = this.#nodesUsed;
    this.#nodesUsed += nodeWords;
    this.#nodes = grown(this.#nodes, this.#nodesUsed);
    return node;
  }

  #addInner(): number {
    const node = this.#addNode();
    this.#nodes[node + childrenField] = this.#childrenUsed;
    this.#childrenUsed += childrenWords;
    this.#children = grown(this.#children, this.#childrenUsed);
    return node;
  }
}

/** Doubles up to steps of 1 MiB: the memory budget counts what is allocated. */
function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const larger = new Int32Array(Math.max(length, array.length + Math.min(array.length, growthWordsMax)));
  larger.set(array);
  return larger;
}
