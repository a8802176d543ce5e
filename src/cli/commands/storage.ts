/** `quorate storage verify|dump|stats`: the tables of a data directory whose node is down. */
import { resolve } from 'node:path';

import { CorruptionError, QuorateError } from '../../base/errors.js';
import { openClosedStorage, type ClosedStorage, type RangeTombstone } from '../../node/storage.js';
import { CommandFailure, describeFailure, exitNegative, failureToJson } from '../failure.js';
import { printJson, printLine, writeOut } from '../output.js';
import { formatTable, type Column } from '../table.js';
import { escapeBytes, formatBytes, jsonField } from '../text.js';

export interface StorageContext {
  readonly directory: string;
  readonly json: boolean;
}

export interface DumpOptions extends StorageContext {
  readonly start: Uint8Array;
  readonly end: Uint8Array | undefined;
  readonly limit: number;
}

interface Damage {
  readonly file: string;
  readonly offset: number;
  readonly message: string;
}

/** Reads every byte of every table and value file and goes on after damage. Exit status 1 if there is any. */
export function verify(context: StorageContext): Promise<number> {
  return withStorage(context, async (storage) => {
    const trees: ({ tree: string } & VerifiedTree)[] = [];
    for (const tree of storage.trees) trees.push({ tree, ...(await verifyTree(storage, tree)) });
    const damages = trees.flatMap((tree) => tree.damages);
    if (context.json) await printJson({ trees, isSound: damages.length === 0 });
    else {
      const rows = trees.map(({ tree, tables, valueFiles, bytes, damages: { length } }) => [
        tree,
        tables,
        valueFiles,
        formatBytes(bytes),
        length === 0 ? 'sound' : `${length} damaged`,
      ]);
      await printLine(
        formatTable(
          [{ title: 'TREE' }, right('TABLES'), right('VALUE FILES'), right('SIZE'), { title: 'RESULT' }],
          rows,
        ),
      );
      for (const { message } of damages) await printLine(message);
      for (const { strayPaths } of trees) for (const path of strayPaths) await printLine(describeStray(path));
    }
    return damages.length === 0 ? 0 : exitNegative;
  });
}

interface VerifiedTree {
  readonly tables: number;
  readonly valueFiles: number;
  /** Of both. */
  readonly bytes: number;
  readonly damages: readonly Damage[];
  readonly strayPaths: readonly string[];
}

async function verifyTree(storage: ClosedStorage, tree: string): Promise<VerifiedTree> {
  try {
    await using inspection = await storage.open(tree);
    const tables = inspection.levels.reduce((sum, level) => sum + level.tables, 0);
    const { files: valueFiles, fileBytes } = inspection.values;
    const bytes = inspection.levels.reduce((sum, level) => sum + level.fileBytes, fileBytes);
    const damages = (await inspection.verify()).map(damageOf);
    return { tables, valueFiles, bytes, damages, strayPaths: inspection.strayPaths };
  } catch (error) {
    // Then it is not known which tables there are.
    if (error instanceof CorruptionError)
      return { tables: 0, valueFiles: 0, bytes: 0, damages: [damageOf(error)], strayPaths: [] };
    throw error;
  }
}

function damageOf({ file, offset, message }: CorruptionError): Damage {
  return { file, offset, message };
}

/**
 * Prints the range tombstones and every entry that the tables have, what they hide too, as the engine orders them. What is
 * damaged is left out and named on standard error; then the exit status is 1.
 */
export function dump(options: DumpOptions): Promise<number> {
  return withStorage(options, async (storage) => {
    let left = options.limit;
    return eachTree(storage, options, async (tree, inspection, onDamage) => {
      left -= await dumpTree(tree, inspection, { ...options, limit: left }, onDamage);
    });
  });
}

type Inspection = Awaited<ReturnType<ClosedStorage['open']>>;
type DamageListener = (error: CorruptionError) => void;

/** What is damaged is named on standard error, once; the other trees have their turn all the same. Gives the exit status. */
async function eachTree(
  storage: ClosedStorage,
  { json }: StorageContext,
  body: (tree: string, inspection: Inspection, onDamage: DamageListener) => Promise<void>,
): Promise<number> {
  const named = new Set<string>();
  const onDamage = (error: CorruptionError): void => {
    if (named.has(error.message)) return;
    named.add(error.message);
    const shown = json ? JSON.stringify(failureToJson(error)) : `quorate: ${describeFailure(error)}`;
    process.stderr.write(`${shown}\n`);
  };
  for (const tree of storage.trees) {
    try {
      await using inspection = await storage.open(tree);
      await body(tree, inspection, onDamage);
    } catch (error) {
      // Then it is not known which tables there are.
      if (!(error instanceof CorruptionError)) throw error;
      onDamage(error);
    }
  }
  return named.size === 0 ? 0 : exitNegative;
}

/** Gives how many it has printed. */
async function dumpTree(
  tree: string,
  inspection: Inspection,
  { start, end, limit, json }: DumpOptions,
  onDamage: DamageListener,
): Promise<number> {
  if (limit === 0) return 0;
  const bounds = { lower: start, upper: end };
  let printed = 0;
  for await (const range of inspection.rangeTombstones(bounds, onDamage)) {
    await printRange(tree, range, json);
    if (++printed === limit) return printed;
  }
  for await (const { key, version, kind, value } of inspection.entries(bounds, onDamage)) {
    if (json) await printJson({ tree, ...jsonField('key', key), version, kind, ...jsonField('value', value) });
    else await writeOut(`${escapeBytes(key)}\t${version}\t${kind}\t${escapeBytes(value)}\n`);
    if (++printed === limit) break;
  }
  return printed;
}

async function printRange(tree: string, { lower, upper, version }: RangeTombstone, json: boolean): Promise<void> {
  const kind = 'deleteRange';
  if (json) await printJson({ tree, ...jsonField('key', lower), version, kind, ...jsonField('end', upper) });
  else await writeOut(`${escapeBytes(lower)}\t${version}\t${kind}\t${escapeBytes(upper)}\n`);
}

type TreeStats = { readonly tree: string } & Pick<
  Inspection,
  'appliedIndex' | 'manifestPath' | 'strayPaths' | 'levels' | 'values'
>;

/** Prints what each level of each tree holds, from the manifests alone. A damaged one is named as by {@link dump}. */
export function stats(context: StorageContext): Promise<number> {
  return withStorage(context, async (storage) => {
    const trees: TreeStats[] = [];
    const status = await eachTree(storage, context, (tree, inspection) => {
      const { appliedIndex, manifestPath, strayPaths, values } = inspection;
      const levels = inspection.levels.filter(({ tables }) => tables > 0);
      trees.push({ tree, appliedIndex, manifestPath, strayPaths, levels, values });
      return Promise.resolve();
    });
    if (context.json) await printJson({ trees });
    else for (const tree of trees) await printLine(describeTree(tree));
    return status;
  });
}

const statsColumns: readonly Column[] = [
  ...['LEVEL', 'TABLES', 'ENTRIES', 'KEYS', 'DELETIONS', 'RANGES', 'RAW', 'BLOCKS', 'STORED', 'FILES'].map(right),
];

function describeTree({ tree, appliedIndex, manifestPath, strayPaths, levels, values }: TreeStats): string {
  const rows = levels.map(
    ({ level, tables, entries, keys, tombstones, rangeTombstones, rawBytes, dataBytes, storedBytes, fileBytes }) => [
      level,
      tables,
      entries,
      keys,
      tombstones,
      rangeTombstones,
      ...[rawBytes, dataBytes, storedBytes, fileBytes].map(formatBytes),
    ],
  );
  return [
    `${tree}: log applied up to ${appliedIndex}, ${manifestPath}`,
    rows.length === 0 ? 'no tables' : formatTable(statsColumns, rows),
    ...(values.files === 0 ? [] : [describeValues(values)]),
    ...strayPaths.map(describeStray),
    '',
  ].join('\n');
}

function describeValues({ files, fileBytes, garbageBytes }: TreeStats['values']): string {
  return `value files: ${files}, ${formatBytes(fileBytes)}, of which ${formatBytes(garbageBytes)} that no table points to`;
}

function describeStray(path: string): string {
  return `not part of it: ${path}`;
}

function right(title: string): Column {
  return { title, align: 'right' };
}

async function withStorage(
  { directory }: StorageContext,
  body: (storage: ClosedStorage) => Promise<number>,
): Promise<number> {
  await using storage = await openClosedStorage(resolve(directory)).catch((error: unknown) => {
    // Nothing was asked of a cluster, so that there is no outcome to speak of.
    throw error instanceof QuorateError ? new CommandFailure(error.message, { cause: error }) : error;
  });
  for (const path of storage.unlocked) {
    process.stderr.write(
      `quorate: ${path} is on a read-only file system and could not be locked: nobody may write there meanwhile\n`,
    );
  }
  return await body(storage);
}
