import type { Prng } from '../base/prng.js';
import type { FileState } from './file-state.js';

export type DiskNode = FileState | DirectoryState;

/** Names that change together: one for a new or removed file, two for a rename. Undefined removes the name. */
type NameChange = ReadonlyMap<string, DiskNode | undefined>;

/**
 * The names in one folder: those that the operating system shows, those that a power loss surely leaves, and the
 * changes between them, which become durable in their order.
 */
export class DirectoryState {
  readonly type = 'directory';
  readonly #current = new Map<string, DiskNode>();
  readonly #durable = new Map<string, DiskNode>();
  #pending: NameChange[] = [];
  #settledCount = 0;

  get size(): number {
    return this.#current.size;
  }

  get(name: string): DiskNode | undefined {
    return this.#current.get(name);
  }

  /** Current names, sorted. */
  names(): string[] {
    return [...this.#current.keys()].sort();
  }

  nodes(): Iterable<DiskNode> {
    return this.#current.values();
  }

  change(changes: NameChange): void {
    apply(this.#current, changes);
    this.#pending.push(changes);
  }

  syncMark(): number {
    return this.#settledCount + this.#pending.length;
  }

  sync(mark: number): void {
    for (const change of this.#settle(mark)) apply(this.#durable, change);
  }

  /** A sync failed: later ones do not make up for it. */
  failSync(mark: number): void {
    this.#settle(mark);
  }

  /** @param random keeps the changes up to a random one; without it nothing pending survives. */
  losePower(random: Prng | undefined): void {
    const pending = this.#settle(this.syncMark());
    const kept = random === undefined ? 0 : random.int(0, pending.length);
    for (const change of pending.slice(0, kept)) apply(this.#durable, change);
    this.#current.clear();
    for (const [name, node] of this.#durable) {
      this.#current.set(name, node);
    }
  }

  /** @param copies what was copied already: a file with two names must stay one file. */
  clone(copies: Map<DiskNode, DiskNode>): DirectoryState {
    const copy = new DirectoryState();
    copies.set(this, copy);
    const copyOf = (node: DiskNode): DiskNode => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const made = node.type === 'file' ? node.clone() : node.clone(copies);
      copies.set(node, made);
      return made;
    };
    for (const [name, node] of this.#current) copy.#current.set(name, copyOf(node));
    for (const [name, node] of this.#durable) copy.#durable.set(name, copyOf(node));
    copy.#pending = this.#pending.map(
      (change) => new Map([...change].map(([name, node]) => [name, node && copyOf(node)])),
    );
    copy.#settledCount = this.#settledCount;
    return copy;
  }

  #settle(mark: number): NameChange[] {
    const settled = this.#pending.splice(0, Math.max(0, mark - this.#settledCount));
    this.#settledCount += settled.length;
    return settled;
  }
}

function apply(names: Map<string, DiskNode>, change: NameChange): void {
  for (const [name, node] of change) {
    if (node === undefined) names.delete(name);
    else names.set(name, node);
  }
}
