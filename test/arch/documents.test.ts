/** What documents say about settings and commands is held against the program. */
import { describe, expect, test } from 'vitest';

import { clientSettings } from '../../src/client/options.js';
import { settings } from '../../src/node/config/schema.js';
import { loadConfig } from '../../src/node/config/config.js';
import { read } from './files.js';

interface Row {
  readonly setting: string;
  readonly defaultText: string;
}

const rows: readonly Row[] = read('docs/configuration.md')
  .split('\n')
  .flatMap((line) => {
    const match = /^\| `([a-z]\w+(?:\.\w+)?)` \| (.*?) \|/.exec(line);
    return match === null ? [] : [{ setting: match[1], defaultText: match[2] }];
  });

const defaults = loadConfig({
  flags: [
    'nodeId=1',
    'dataDirectory=x',
    'cluster.nodes=[1, 2, 3]'.replace(/\d/g, '{id: $&, clientAddress: c:$&, peerAddress: p:$&}'),
  ],
});

/** The default of a setting as the table writes it. */
function defaultOf(setting: string): unknown {
  let at: unknown = { ...defaults.options, logging: defaults.logging };
  for (const key of setting.split('.')) at = (at as Record<string, unknown>)[key];
  return at;
}

function toNumber(text: string): number {
  const [, count, unit] = /^(\d+)(?: ([KMG]iB))?/.exec(text) ?? [];
  return Number(count) * (unit === undefined ? 1 : 1024 ** (1 + ['KiB', 'MiB', 'GiB'].indexOf(unit)));
}

describe('docs/configuration.md', () => {
  test('has every setting once, and no other', () => {
    expect(rows.map(({ setting }) => setting).sort()).toEqual(settings.map(({ path }) => path).sort());
  });

  test('gives the defaults', () => {
    for (const { setting, defaultText } of rows) {
      const value = defaultOf(setting);
      if (typeof value === 'number' && defaultText !== 'required')
        expect([setting, toNumber(defaultText)]).toEqual([setting, value]);
      else if (setting.startsWith('logging.') || setting === 'cluster.name') expect(defaultText).toBe(value);
    }
  });

  test('has a file that is valid', () => {
    const yaml = /## A file\n\n```yaml\n([\s\S]*?)```/.exec(read('docs/configuration.md'))?.[1] ?? '';
    expect(loadConfig({ file: { name: 'configuration.md', text: yaml } }).options.cluster.name).toBe('orders');
  });
});

describe('docs/client.md', () => {
  test('has every option of connect, with its default', () => {
    const { endpoints, ...defaultsOfClient } = clientSettings({ endpoints: ['host:1'] });
    const documented = [...read('docs/client.md').matchAll(/^\| `(\w+)` \| (\d+|required) \|/gm)];
    expect(endpoints).toHaveLength(1);
    expect(Object.fromEntries(documented.map(([, option, value]) => [option, value]))).toEqual({
      endpoints: 'required',
      ...Object.fromEntries(Object.entries(defaultsOfClient).map(([option, value]) => [option, String(value)])),
    });
  });
});

describe('docker-compose.yml', () => {
  test('gives the nodes settings that are valid', async () => {
    const { parse } = await import('yaml');
    const compose = parse(read('docker-compose.yml').replace(/\$\{\w+:-(\d+)\}/g, '$1'), { merge: true }) as {
      services: Record<string, { environment: Record<string, string> }>;
    };
    const nodes = Object.values(compose.services).map(({ environment }) =>
      loadConfig({ environment: { ...environment, QUORATE_DATA_DIRECTORY: '/data' } }),
    );
    expect(nodes.map(({ options }) => options.nodeId)).toEqual([1, 2, 3]);
    expect(new Set(nodes.map(({ options }) => JSON.stringify(options.cluster))).size).toBe(1);
  });
});
