/** Reads of a tree next to what they must give, and iterators that stay open over whatever comes. */
import { Timestamp } from '../../base/ids.js';
import type { Found } from '../../lsm/entry.js';
import type { TreeIterator } from '../../lsm/iterator/tree-iterator.js';
import type { Tree } from '../../lsm/tree.js';
import { requireEqual } from './disagreement.js';
import type { EngineModel, ModelRecord } from './engine-model.js';

interface OpenIterator {
  readonly iterator: TreeIterator;
  /** What it still has to give. */
  readonly expected: ModelRecord[];
}

const openIteratorsMax = 3;

export class OpenReads {
  #iterators: OpenIterator[] = [];

  /** The one that is open the longest is read to its end and closed, if there are too many. */
  async keep(iterator: TreeIterator, expected: ModelRecord[]): Promise<string> {
    this.#iterators.push({ iterator, expected });
    if (this.#iterators.length <= openIteratorsMax) return 'opened';
    const oldest = this.#iterators.splice(0, 1)[0];
    return this.readAll(oldest.iterator, oldest.expected);
  }

  async readAll(iterator: TreeIterator, expected: ModelRecord[]): Promise<string> {
    const shown = await take({ iterator, expected }, Infinity);
    iterator.close();
    return shown;
  }

  async advance(records: number): Promise<string> {
    const shown: string[] = [];
    for (const open of this.#iterators) shown.push(await take(open, records));
    return shown.join('\n');
  }

  async finish(): Promise<void> {
    for (const { iterator, expected } of this.#iterators) await this.readAll(iterator, expected);
    this.#iterators = [];
  }
}

async function take({ iterator, expected }: OpenIterator, count: number): Promise<string> {
  const records: (ModelRecord | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    const next = await iterator.next();
    const record = next && { key: textOf(next.key), version: next.version, value: textOf(next.value) };
    requireEqual('the next record of an iterator', record, expected.shift());
    records.push(record);
    if (record === undefined) break;
  }
  return JSON.stringify(records);
}

/** All records of the tree at a version, in both directions, against the model after `through` batches. */
export async function compareWhole(tree: Tree, model: EngineModel, at: number, through: number): Promise<void> {
  for (const reverse of [false, true]) {
    const iterator = tree.openIterator({ lower: bytesOf(''), upper: undefined, at: Timestamp(at), reverse });
    const expected = model.scan({ lower: '', upper: undefined }, at, through);
    try {
      await take({ iterator, expected: reverse ? expected.reverse() : expected }, Infinity);
    } finally {
      iterator.close();
    }
  }
}

/** As the model shows it: a deleted key has no record, whether or not its tombstone is still there. */
export function recordOf(key: string, found: Found | undefined): ModelRecord | undefined {
  if (found?.kind !== 'put') return undefined;
  return { key, version: found.version, value: textOf(found.value) };
}

export function bytesOf(latin1: string): Uint8Array {
  return new Uint8Array(Buffer.from(latin1, 'latin1'));
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
