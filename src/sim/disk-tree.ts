import type { Prng } from '../base/prng.js';
import { assert, defined } from '../base/assert.js';
import { DiskError } from '../env/disk.js';
import { DirectoryState, type DiskNode } from './directory-state.js';
import { FileState } from './file-state.js';

/**
 * A file system in memory, synchronous: names and rules of POSIX, and what is durable of each file and folder.
 * Relative paths begin at the root.
 */
export class DiskTree {
  readonly #root: DirectoryState;

  constructor(root = new DirectoryState()) {
    this.#root = root;
  }

  find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.#root;
    for (const name of split(path)) {
      if (node?.type !== 'directory') return undefined;
      node = node.get(name);
    }
    return node;
  }

  file(path: string, operation: string): FileState {
    const node = this.find(path);
    if (node === undefined) throw new DiskError('notFound', path, operation);
    if (node.type !== 'file') throw new DiskError('io', path, operation, new Error('is a directory'));
    return node;
  }

  directory(path: string, operation: string): DirectoryState {
    const node = this.find(path);
    if (node === undefined) throw new DiskError('notFound', path, operation);
    if (node.type !== 'directory') throw new DiskError('io', path, operation, new Error('is not a directory'));
    return node;
  }

  create(path: string): FileState {
    const { parent, name } = this.#place(path, 'open');
    if (parent.get(name) !== undefined) throw new DiskError('exists', path, 'open');
    const file = new FileState();
    parent.change(new Map([[name, file]]));
    return file;
  }

  makeDirectory(path: string): void {
    let at = this.#root;
    const names = split(path);
    for (const [depth, name] of names.entries()) {
      let next = at.get(name);
      if (next === undefined) {
        next = new DirectoryState();
        at.change(new Map([[name, next]]));
      }
      if (next.type !== 'directory') {
        throw new DiskError(depth === names.length - 1 ? 'exists' : 'io', path, 'makeDirectory');
      }
      at = next;
    }
  }

  remove(path: string): void {
    this.file(path, 'remove');
    const { parent, name } = this.#place(path, 'remove');
    parent.change(new Map([[name, undefined]]));
  }

  /** Name by name from the leaves up, so that a power loss can leave a part. */
  removeTree(path: string): void {
    const node = this.find(path);
    if (node === undefined) return;
    if (node.type === 'directory') for (const name of node.names()) this.removeTree(`${path}/${name}`);
    const { parent, name } = this.#place(path, 'removeTree');
    parent.change(new Map([[name, undefined]]));
  }

  rename(from: string, to: string): void {
    const node = this.find(from);
    if (node === undefined) throw new DiskError('notFound', from, 'rename');
    const source = this.#place(from, 'rename');
    const target = this.#place(to, 'rename');
    const replaced = target.parent.get(target.name);
    if (replaced === node) return;
    if (replaced !== undefined) {
      if (replaced.type !== node.type) throw new DiskError('io', to, 'rename', new Error('of another kind'));
      if (replaced.type === 'directory' && replaced.size > 0) throw new DiskError('exists', to, 'rename');
    }
    if (source.parent === target.parent) {
      source.parent.change(
        new Map([
          [source.name, undefined],
          [target.name, node],
        ]),
      );
    } else {
      target.parent.change(new Map([[target.name, node]]));
      source.parent.change(new Map([[source.name, undefined]]));
    }
  }

  link(from: string, to: string): void {
    const file = this.file(from, 'link');
    const { parent, name } = this.#place(to, 'link');
    if (parent.get(name) !== undefined) throw new DiskError('exists', to, 'link');
    parent.change(new Map([[name, file]]));
  }

  /** Bytes of all files that have a name. */
  usedBytes(): number {
    let bytes = 0;
    for (const node of this.#nodes()) if (node.type === 'file') bytes += node.length;
    return bytes;
  }

  /** Paths of all files, each with a leading slash, sorted. */
  paths(): string[] {
    const paths: string[] = [];
    const visit = (node: DiskNode, path: string): void => {
      if (node.type === 'file') paths.push(path);
      else for (const name of node.names()) visit(defined(node.get(name), 'a listed name'), `${path}/${name}`);
    };
    visit(this.#root, '');
    return paths.sort();
  }

  /** @param random keeps a random part of what is pending; without it nothing pending survives. */
  losePower(random: Prng | undefined): void {
    const visit = (node: DiskNode): void => {
      node.losePower(random);
      if (node.type === 'directory') for (const child of node.nodes()) visit(child);
    };
    visit(this.#root);
  }

  clone(): DiskTree {
    return new DiskTree(this.#root.clone(new Map()));
  }

  #place(path: string, operation: string): { parent: DirectoryState; name: string } {
    const names = split(path);
    const name = names.pop();
    assert(name !== undefined, `${operation}: the path ${path} has no name`);
    return { parent: this.directory(names.join('/'), operation), name };
  }

  #nodes(): Set<DiskNode> {
    const nodes = new Set<DiskNode>([this.#root]);
    for (const node of nodes) if (node.type === 'directory') for (const child of node.nodes()) nodes.add(child);
    return nodes;
  }
}

function split(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  assert(!names.includes('..'), `the simulated disk knows no '..': ${path}`);
  return names;
}
