/** A skip list over arrays of numbers, as LevelDB's is over an arena: what the memtable was before. For comparison. */
import { Prng } from '../../src/base/prng.js';
import { EntryArena } from '../../src/lsm/memtable/entry-arena.js';

const heightMax = 12;

export class SkipList {
  readonly arena = new EntryArena();
  readonly #random = new Prng(1);
  #references = new Int32Array(64);
  #towers = new Int32Array(64);
  #links = new Int32Array(128);
  #linksUsed = heightMax;
  #count = 0;
  #height = 1;
  readonly #before = new Int32Array(heightMax);

  insert(key: Uint8Array, version: number, value: Uint8Array): void {
    this.find(key, version);
    const node = ++this.#count;
    const height = this.#drawHeight();
    if (node >= this.#references.length) {
      this.#references = doubled(this.#references);
      this.#towers = doubled(this.#towers);
    }
    if (this.#linksUsed + height > this.#links.length) this.#links = doubled(this.#links);
    this.#references[node] = this.arena.add(key, version, 'put', value);
    const tower = this.#linksUsed;
    this.#towers[node] = tower;
    this.#linksUsed += height;
    while (this.#height < height) this.#before[this.#height++] = 0;
    for (let level = 0; level < height; level++) {
      const link = this.#towers[this.#before[level]] + level;
      this.#links[tower + level] = this.#links[link];
      this.#links[link] = node;
    }
  }

  #drawHeight(): number {
    let height = 1;
    for (let draw = this.#random.u32(); height < heightMax && (draw & 3) === 0; draw >>>= 2) height++;
    return height;
  }

  /** The first node at or after (key, version); 0 if there is none. */
  find(key: Uint8Array, version: number): number {
    let node = 0;
    let next = 0;
    for (let level = this.#height - 1; level >= 0; level--) {
      next = this.#links[this.#towers[node] + level];
      while (next !== 0 && this.arena.compare(this.#references[next], key, version, 0) < 0) {
        node = next;
        next = this.#links[this.#towers[node] + level];
      }
      this.#before[level] = node;
    }
    return next;
  }

  after(node: number): number {
    return this.#links[this.#towers[node]];
  }

  reference(node: number): number {
    return this.#references[node];
  }
}

function doubled(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
