/**
 * Where settings come from: a YAML file, the environment, flags. Each becomes a layer of raw values by path; layers
 * are merged setting by setting, and every value remembers its origin, so that a message can name it.
 */
import { parseDocument } from 'yaml';

import { ConfigError, type ConfigIssue } from './error.js';
import { settings, type Setting } from './schema.js';
import { nearest } from './suggest.js';

interface RawValue {
  readonly value: unknown;
  readonly origin: string;
}

/** Raw values by path, and what could not be understood. */
export interface Layer {
  readonly values: ReadonlyMap<string, RawValue>;
  readonly issues: readonly ConfigIssue[];
}

const settingByPath = new Map(settings.map((setting) => [setting.path, setting]));
const settingByVariable = new Map(settings.map((setting) => [variableName(setting.path), setting]));

/** Variables that other parts of the program read: `quorate dev` and the client commands. */
const otherVariables: ReadonlySet<string> = new Set([
  'QUORATE_CONFIG',
  'QUORATE_DATA',
  'QUORATE_PORT',
  'QUORATE_ENDPOINTS',
]);
/** Kubernetes and old Docker links put these into the environment for a service whose name begins with "quorate". */
const serviceVariable = /^QUORATE_(.*_)?(SERVICE_HOST|SERVICE_PORT|PORT)(_.*)?$/;

/** `limits.keyBytesMax` is `QUORATE_LIMITS_KEY_BYTES_MAX`. */
export function variableName(path: string): string {
  return `QUORATE_${path
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/\./g, '_')
    .toUpperCase()}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Paths at which a file may have a mapping: `cluster`, `raft`, … */
const sections = new Set(
  settings.flatMap(({ path }) => (path.includes('.') ? [path.slice(0, path.lastIndexOf('.'))] : [])),
);

function unknownKey(path: string, origin: string): ConfigIssue {
  const guess = nearest(path, settingByPath.keys()) ?? nearest(path, sections) ?? sameLeaf(path);
  return { path, origin, message: `unknown key${guess === undefined ? '' : `; did you mean ${guess}?`}` };
}

/** A setting of the right name under the wrong key: `keyBytesMax` at the top instead of under `limits`. */
function sameLeaf(path: string): string | undefined {
  const leaf = (text: string): string => text.slice(text.lastIndexOf('.') + 1);
  const byLeaf = new Map(settings.map((setting) => [leaf(setting.path), setting.path]));
  const guess = nearest(leaf(path), byLeaf.keys());
  return guess === undefined ? undefined : byLeaf.get(guess);
}

/** Throws {@link ConfigError} when the file as a whole cannot be understood. */
export function fileLayer(text: string, file: string): Layer {
  const values = new Map<string, RawValue>();
  const issues: ConfigIssue[] = [];
  const unreadable = (message: string): ConfigError => new ConfigError([{ path: '', origin: file, message }]);
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    const reason = document.errors[0].message.split('\n')[0].replace(/:$/, '');
    throw unreadable(`not valid YAML: ${reason}`);
  }
  const root: unknown = document.toJS() ?? {};
  if (!isObject(root)) throw unreadable('expected `key: value` lines');
  const collect = (tree: Record<string, unknown>, prefix: string): void => {
    for (const [key, value] of Object.entries(tree)) {
      const path = prefix + key;
      if (settingByPath.has(path)) values.set(path, { value, origin: file });
      else if (!sections.has(path)) issues.push(unknownKey(path, file));
      else if (isObject(value)) collect(value, `${path}.`);
      else if (value !== null) issues.push({ path, origin: file, message: 'expected settings under this key' });
    }
  };
  collect(root, '');
  return { values, issues };
}

export function environmentLayer(environment: Readonly<Record<string, string | undefined>>): Layer {
  const values = new Map<string, RawValue>();
  const issues: ConfigIssue[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('QUORATE_') || text === undefined) continue;
    const setting = settingByVariable.get(name);
    if (setting !== undefined) values.set(setting.path, { value: fromText(setting, text), origin: name });
    else if (!otherVariables.has(name) && !serviceVariable.test(name)) {
      const guess = nearest(name, settingByVariable.keys());
      const message = `unknown environment variable${guess === undefined ? '' : `; did you mean ${guess}?`}`;
      issues.push({ path: '', origin: name, message });
    }
  }
  return { values, issues };
}

/** Flags are `path=value` pairs; `serve`'s own flags for the common settings are turned into them. */
export function flagLayer(pairs: readonly string[]): Layer {
  const values = new Map<string, RawValue>();
  const issues: ConfigIssue[] = [];
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const path = equals < 0 ? pair : pair.slice(0, equals);
    const setting = settingByPath.get(path);
    if (setting === undefined) issues.push(unknownKey(path, 'flag'));
    else if (equals < 0) issues.push({ path, origin: 'flag', message: 'expected path=value' });
    else values.set(path, { value: fromText(setting, pair.slice(equals + 1)), origin: 'flag' });
  }
  return { values, issues };
}

/** Text from outside a file: as it is for text settings, a YAML value (number, list) for the others. */
function fromText(setting: Setting, text: string): unknown {
  if (setting.isText) return text;
  const document = parseDocument(text);
  return document.errors.length > 0 ? text : document.toJS();
}

export interface MergedLayers {
  /** Nested, as the schema wants it. */
  readonly tree: Record<string, unknown>;
  originOf(path: string): string | undefined;
  readonly issues: readonly ConfigIssue[];
}

/** The last layer that has a setting decides it. */
export function mergeLayers(layers: readonly Layer[]): MergedLayers {
  const values = new Map(layers.flatMap((layer) => [...layer.values]));
  const tree: Record<string, unknown> = {};
  for (const [path, { value }] of values) {
    const keys = path.split('.');
    const leaf = keys.pop() ?? path;
    let at = tree;
    for (const key of keys) {
      const child = at[key];
      const next = isObject(child) ? child : {};
      at[key] = next;
      at = next;
    }
    at[leaf] = value;
  }
  return {
    tree,
    originOf: (path) => values.get(path)?.origin,
    issues: layers.flatMap((layer) => layer.issues),
  };
}
