/** Command lines that are wrong, as people and as machines are told. No node is needed: none gets that far. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { runProgram } from '../../src/cli/program.js';

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...args: readonly string[]): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    });
  }
  const status = await runProgram(args);
  return { status, ...written };
}

afterEach(() => vi.restoreAllMocks());

const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [['get'], /missing required argument 'key'/],
  [['get', 'a', 'b'], /too many arguments/],
  [['get', 'k', '--sale'], /unknown option '--sale'.*Did you mean --stale/s],
  [['fetch', 'k'], /unknown command 'fetch'/],
  [['scan', '--limit', 'many'], /'many' is invalid. Expected a whole number, at least 1/],
  [['status', '--timeout', 'soon'], /'soon' is invalid. Expected a time like 500ms/],
  [['status', '--endpoints', 'here'], /"here" is not host:port/],
  [['put', 'k', 'v', '--if-absent', '--if-version', '3'], /cannot be used with option/],
  [['import', 'a.csv', '--format', 'xml'], /Allowed choices are ndjson, csv, tsv/],
  [['import', 'a.txt'], /what a.txt holds is not clear from its name: --format ndjson\|csv\|tsv/],
  [['get', '--base64', '!'], /KEY is not valid base64/],
];

describe('a wrong command line', () => {
  test.each(wrong)('%j is told to people, with status 2', async (args, message) => {
    const { status, stdout, stderr } = await run(...args);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
  });

  test.each(wrong)('%j --json is one line of JSON on standard error, with status 2', async (args, message) => {
    const { status, stdout, stderr } = await run(...args, '--json');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^\{.*\}\n$/);
    const { error } = JSON.parse(stderr) as { readonly error: { readonly message: string } };
    expect(error.message).toMatch(message);
  });

  test('without a command is wrong too', async () => {
    const { status, stderr } = await run('--json');
    expect(status).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'INVALID_ARGUMENT', message: 'a command is missing; --help lists them', outcome: 'notApplied' },
    });
  });

  test('--json behind -- is a key, not an option', async () => {
    const { status, stderr } = await run('get', '--', '--json', 'b');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error: too many arguments/);
  });
});

test('help and version are no failures', async () => {
  expect(await run('--version')).toMatchObject({ status: 0, stderr: '' });
  const { status, stdout } = await run('scan', '--help', '--json');
  expect(status).toBe(0);
  expect(stdout).toContain('--prefix');
});
