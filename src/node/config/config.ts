/**
 * The configuration of a node: flags over environment over file over defaults, validated as a whole. Everything that
 * is wrong is reported at once, by setting and origin; nothing unknown is ignored.
 */
import { resolve } from 'node:path';

import { stringify } from 'yaml';
import type { z } from 'zod';

import { defined } from '../../base/assert.js';
import { NodeId } from '../../base/ids.js';
import { ConfigError, type ConfigIssue } from './error.js';
import { brokenRelations } from './relations.js';
import { configSchema, type LogFormat, type LogLevel, type ParsedConfig } from './schema.js';
import { environmentLayer, fileLayer, flagLayer, mergeLayers, type MergedLayers } from './sources.js';
import { nearest } from './suggest.js';
import type { NodeOptions } from '../options.js';

export interface LoggingOptions {
  /** Messages below it are not written. Default `info`. */
  readonly level: LogLevel;
  /** `json`: a line of JSON each, for machines. `pretty`: for people. Default `json`. */
  readonly format: LogFormat;
}

export interface NodeConfig {
  readonly options: NodeOptions;
  readonly logging: LoggingOptions;
}

export interface ConfigSources {
  /** Content of the configuration file, and its name for messages. */
  readonly file?: { readonly name: string; readonly text: string } | undefined;
  /** Like `process.env`; only names that begin with `QUORATE_` count. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** `path=value` each, for example `limits.keyBytesMax=8192`. */
  readonly flags?: readonly string[];
}

/** Throws {@link ConfigError}. `dataDirectory` becomes absolute, relative to the working directory. */
export function loadConfig(sources: ConfigSources): NodeConfig {
  const { file } = sources;
  const merged = mergeLayers([
    ...(file === undefined ? [] : [fileLayer(file.text, file.name)]),
    environmentLayer(sources.environment ?? {}),
    flagLayer(sources.flags ?? []),
  ]);
  const parsed = configSchema.safeParse(withDefaultReplication(merged.tree));
  const issues = [...merged.issues, ...(parsed.success ? [] : parsed.error.issues.flatMap((i) => toIssues(i, merged)))];
  const invalid = new Set(parsed.success ? [] : parsed.error.issues.map(({ path }) => settingAround(pathText(path))));
  const whole = parsed.success ? parsed.data : parseWithout(invalid, merged.tree);
  for (const { path, message, settings } of brokenRelations(whole)) {
    if (settings.some((setting) => invalid.has(setting))) continue;
    issues.push({ path, message, origin: originAround(path, merged) });
  }
  if (issues.length > 0 || !parsed.success) throw new ConfigError(issues);
  return toNodeConfig(parsed.data);
}

/** A cluster of one node has one replica of everything; the general default of 3 would only have to be turned down. */
function withDefaultReplication(tree: Record<string, unknown>): Record<string, unknown> {
  const cluster = (tree.cluster ?? {}) as { nodes?: unknown };
  const isSingle = Array.isArray(cluster.nodes) && cluster.nodes.length === 1;
  return { ...tree, cluster: isSingle ? { replicationFactor: 1, ...cluster } : cluster };
}

/** Stand for what has no default, so that the rules between other settings can be looked at. */
const placeholders = {
  nodeId: 1,
  dataDirectory: '.',
  cluster: { nodes: [{ id: 1, clientAddress: 'placeholder:1', peerAddress: 'placeholder:2' }] },
};

/** The configuration with defaults and placeholders for the settings that are not valid. */
function parseWithout(invalid: ReadonlySet<string>, tree: Record<string, unknown>): ParsedConfig {
  const kept = structuredClone(tree);
  for (const setting of invalid) {
    const keys = setting.split('.');
    const leaf = keys.pop() ?? setting;
    const section = keys.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], kept);
    if (section !== undefined) delete (section as Record<string, unknown>)[leaf];
  }
  const cluster = { ...placeholders.cluster, ...(kept.cluster as Record<string, unknown> | undefined) };
  return configSchema.parse(withDefaultReplication({ ...placeholders, ...kept, cluster }));
}

function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : `${text === '' ? '' : '.'}${String(key)}`;
  return text;
}

/** The setting at `path`: a list is one setting. */
function settingAround(path: string): string {
  const list = path.indexOf('[');
  return list < 0 ? path : path.slice(0, list);
}

function originAround(path: string, merged: MergedLayers): string | undefined {
  return merged.originOf(settingAround(path));
}

const nodeFields = ['id', 'clientAddress', 'peerAddress'];

function toIssues(issue: z.core.$ZodIssue, merged: MergedLayers): ConfigIssue[] {
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const guess = nearest(key, nodeFields);
      const message = `unknown key${guess === undefined ? '' : `; did you mean ${guess}?`}`;
      return { path: `${path}.${key}`, message, origin: originAround(path, merged) };
    });
  }
  const missing = issue.code === 'invalid_type' && !path.includes('[') && merged.originOf(path) === undefined;
  return [{ path, message: missing ? 'must be given' : issue.message, origin: originAround(path, merged) }];
}

function toNodeConfig(parsed: ParsedConfig): NodeConfig {
  const nodes = parsed.cluster.nodes
    .map(({ id, clientAddress, peerAddress }) => ({ id: NodeId(id), clientAddress, peerAddress }))
    .sort((a, b) => a.id - b.id);
  const listed = nodes.find((node) => node.id === parsed.nodeId);
  const clientAddress = defined(parsed.clientAddress ?? listed?.clientAddress, 'clientAddress');
  const peerAddress = defined(parsed.peerAddress ?? listed?.peerAddress, 'peerAddress');
  const { logging, ...rest } = parsed;
  const options: NodeOptions = {
    ...rest,
    cluster: { ...parsed.cluster, nodes },
    nodeId: NodeId(parsed.nodeId),
    clientAddress,
    peerAddress,
    dataDirectory: resolve(parsed.dataDirectory),
    clientListen: parsed.clientListen ?? clientAddress,
    peerListen: parsed.peerListen ?? peerAddress,
  };
  return { options, logging };
}

/** The effective configuration as YAML that {@link loadConfig} reads back to the same. */
export function printConfig({ options, logging }: NodeConfig): string {
  return stringify({ ...options, logging });
}
