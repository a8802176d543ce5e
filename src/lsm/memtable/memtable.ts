/**
 * The newest writes, in order, in memory: a skip list whose nodes are numbers and whose keys and values lie in an arena,
 * so that nothing of it is an object of its own to the garbage collector.
 *
 * Invariants:
 * - Nodes are only added, and numbered from 1 in the order of writing. A reader that remembers `count` and ignores nodes
 *   above it therefore sees the memtable as it was, whatever is written meanwhile.
 * - An entry written again (same key, same version) goes before the old one: the first of equals counts.
 * - A sealed memtable never changes again.
 */
import { assert } from '../../base/assert.js';
import type { LogIndex } from '../../base/ids.js';
import { Timestamp } from '../../base/ids.js';
import { Prng } from '../../base/prng.js';
import { byteOfKind, kindOfByte, type Found, type Kind } from '../entry.js';
import type { TreeBatch } from '../tree-batch.js';
import { ByteArena } from './byte-arena.js';

/** With one node in four going up a level, 12 levels serve 16 million entries. */
const heightMax = 12;
const nodesMin = 64;

/** Fields of a node in `#nodes`. Its links are at `#links[tower + height]`, 0 where there is no next node. */
const fields = 6;
const towerField = 0;
const chunkField = 1;
const offsetField = 2;
const keyLengthField = 3;
const valueLengthField = 4;
const kindField = 5;

/** What a node costs besides key and value: its fields, its version and 1.33 links. */
const nodeBytes = fields * 4 + 8 + 6;

export class Memtable {
  readonly #arena = new ByteArena();
  readonly #heights = new Prng(1);
  #nodes = new Int32Array(nodesMin * fields);
  #versions = new Float64Array(nodesMin);
  #links = new Int32Array(nodesMin * 2);
  /** The head, node 0, has links at every height and no entry. */
  #linksUsed = heightMax;
  #height = 1;
  /** Per height the last node before the place that `#find` looked for. */
  readonly #before = new Int32Array(heightMax);

  #count = 0;
  #bytes = 0;
  #smallestVersion = Number.MAX_SAFE_INTEGER;
  #largestVersion = 0;
  readonly #startIndex: LogIndex;
  #appliedIndex: LogIndex;

  /** @param startIndex of the last batch before those that it will take */
  constructor(startIndex: LogIndex) {
    this.#startIndex = startIndex;
    this.#appliedIndex = startIndex;
  }

  /** Whether a batch was written to it; a batch may have no entries. */
  get hasBatches(): boolean {
    return this.#appliedIndex > this.#startIndex;
  }

  /** Number of entries. */
  get count(): number {
    return this.#count;
  }

  /** Of its entries, with what each costs besides key and value. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What it has allocated: more than `bytes`, since it grows in steps. */
  get memoryBytes(): number {
    const index = this.#nodes.byteLength + this.#versions.byteLength + this.#links.byteLength;
    return this.#arena.memoryBytes + index;
  }

  /** 2^53 - 1 while it is empty. */
  get smallestVersion(): number {
    return this.#smallestVersion;
  }

  /** 0 while it is empty. */
  get largestVersion(): number {
    return this.#largestVersion;
  }

  /** Of the last batch in it, or before it. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  write(batch: TreeBatch, appliedIndex: LogIndex): void {
    assert(appliedIndex > this.#appliedIndex, `applied index ${appliedIndex} after ${this.#appliedIndex}`);
    for (const { key, version, kind, value } of batch) this.#insert(key, version, kind, value);
    this.#appliedIndex = appliedIndex;
  }

  #insert(key: Uint8Array, version: Timestamp, kind: Kind, value: Uint8Array): void {
    this.#find(key, version);
    const height = this.#drawHeight();
    const node = this.#addNode(key, version, kind, value, height);
    while (this.#height < height) this.#before[this.#height++] = 0;
    const links = this.#links;
    const tower = this.#field(node, towerField);
    for (let level = 0; level < height; level++) {
      const link = this.#linkOf(this.#before[level], level);
      links[tower + level] = links[link];
      links[link] = node;
    }
  }

  #addNode(key: Uint8Array, version: Timestamp, kind: Kind, value: Uint8Array, height: number): number {
    const node = ++this.#count;
    this.#growFor(node, height);
    this.#arena.reserve(key.length + value.length);
    const chunk = this.#arena.chunk(this.#arena.lastChunk);
    const offset = this.#arena.lastOffset;
    chunk.set(key, offset);
    chunk.set(value, offset + key.length);
    const at = node * fields;
    this.#nodes[at + towerField] = this.#linksUsed;
    this.#nodes[at + chunkField] = this.#arena.lastChunk;
    this.#nodes[at + offsetField] = offset;
    this.#nodes[at + keyLengthField] = key.length;
    this.#nodes[at + valueLengthField] = value.length;
    this.#nodes[at + kindField] = byteOfKind(kind);
    this.#versions[node] = version;
    this.#linksUsed += height;
    this.#bytes += key.length + value.length + nodeBytes;
    this.#smallestVersion = Math.min(this.#smallestVersion, version);
    this.#largestVersion = Math.max(this.#largestVersion, version);
    return node;
  }

  #growFor(node: number, height: number): void {
    if (node >= this.#versions.length) {
      const nodes = new Int32Array(this.#nodes.length * 2);
      nodes.set(this.#nodes);
      this.#nodes = nodes;
      const versions = new Float64Array(this.#versions.length * 2);
      versions.set(this.#versions);
      this.#versions = versions;
    }
    if (this.#linksUsed + height > this.#links.length) {
      const links = new Int32Array(this.#links.length * 2);
      links.set(this.#links);
      this.#links = links;
    }
  }

  #drawHeight(): number {
    let height = 1;
    for (let draw = this.#heights.u32(); height < heightMax && (draw & 3) === 0; draw >>>= 2) height++;
    return height;
  }

  #field(node: number, field: number): number {
    return this.#nodes[node * fields + field];
  }

  #linkOf(node: number, level: number): number {
    return this.#nodes[node * fields + towerField] + level;
  }

  /** < 0 when the node comes before (key, version). */
  #compare(node: number, key: Uint8Array, version: number): number {
    const at = node * fields;
    const chunk = this.#arena.chunk(this.#nodes[at + chunkField]);
    const offset = this.#nodes[at + offsetField];
    const length = this.#nodes[at + keyLengthField];
    const shared = Math.min(length, key.length);
    for (let i = 0; i < shared; i++) {
      const difference = chunk[offset + i] - key[i];
      if (difference !== 0) return difference;
    }
    return length === key.length ? version - this.#versions[node] : length - key.length;
  }

  /** The first node at or after (key, version), 0 if there is none; leaves in `#before` what comes before it. */
  #find(key: Uint8Array, version: number): number {
    let node = 0;
    let next = 0;
    for (let level = this.#height - 1; level >= 0; level--) {
      next = this.#links[this.#linkOf(node, level)];
      while (next !== 0 && this.#compare(next, key, version) < 0) {
        node = next;
        next = this.#links[this.#linkOf(node, level)];
      }
      this.#before[level] = node;
    }
    return next;
  }

  /** The newest version of `key` at or below `at`. */
  get(key: Uint8Array, at: Timestamp): Found | undefined {
    if (at < this.#smallestVersion) return undefined;
    const node = this.#find(key, at);
    if (node === 0 || !this.#hasKey(node, key)) return undefined;
    return { version: this.versionOf(node), kind: this.kindOf(node), value: this.valueOf(node) };
  }

  #hasKey(node: number, key: Uint8Array): boolean {
    return this.#compare(node, key, this.#versions[node]) === 0;
  }

  // Nodes, for iterators: 0 stands for "none".

  /** The first node whose key is `key` or comes after it. */
  firstFrom(key: Uint8Array): number {
    return this.#find(key, Number.MAX_SAFE_INTEGER);
  }

  /** The last node whose key comes before `key`; of all nodes if there is no `key`. */
  lastBefore(key: Uint8Array | undefined): number {
    if (key !== undefined) {
      this.#find(key, Number.MAX_SAFE_INTEGER);
      return this.#before[0];
    }
    let node = 0;
    for (let level = this.#height - 1; level >= 0; level--) {
      let next = this.#links[this.#linkOf(node, level)];
      while (next !== 0) {
        node = next;
        next = this.#links[this.#linkOf(node, level)];
      }
    }
    return node;
  }

  nodeAfter(node: number): number {
    return this.#links[this.#linkOf(node, 0)];
  }

  /**
   * A skip list has no way back: searches for the node's own entry. Equals of it that were written later come before
   * it, and after what the search finds.
   */
  nodeBefore(node: number): number {
    this.#find(this.keyOf(node), this.#versions[node]);
    let before = this.#before[0];
    for (let next = this.nodeAfter(before); next !== node; next = this.nodeAfter(before)) before = next;
    return before;
  }

  keyOf(node: number): Uint8Array {
    const offset = this.#field(node, offsetField);
    return this.#arena
      .chunk(this.#field(node, chunkField))
      .subarray(offset, offset + this.#field(node, keyLengthField));
  }

  versionOf(node: number): Timestamp {
    return Timestamp(this.#versions[node]);
  }

  kindOf(node: number): Kind {
    return kindOfByte(this.#field(node, kindField));
  }

  valueOf(node: number): Uint8Array {
    const offset = this.#field(node, offsetField) + this.#field(node, keyLengthField);
    return this.#arena
      .chunk(this.#field(node, chunkField))
      .subarray(offset, offset + this.#field(node, valueLengthField));
  }
}
