/** The command line: what goes where, and the exit codes that scripts rely on. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../../jepsen-lite/program.js';

const register = (...events: string[]): string => events.map((event) => `INFO  jepsen.util - ${event}\n`).join('');
const good = register('0\t:invoke\t:write\t1', '0\t:ok\t:write\t1');
const bad = register('0\t:invoke\t:read\tnil', '0\t:ok\t:read\t1');
const badLater = register('1\t:invoke\t:write\t1', '1\t:ok\t:write\t1') + bad.replaceAll('1\n', '2\n');
/** So many overlapping writes that a memo of a few entries cannot hold them. */
const hard = register(
  ...Array.from({ length: 9 }, (_, process) => `${process}\t:invoke\t:write\t${process}`),
  '20\t:invoke\t:read\tnil',
  '20\t:ok\t:read\t99',
  ...Array.from({ length: 9 }, (_, process) => `${process}\t:ok\t:write\t${process}`),
);

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jepsen-check-'));
  for (const [name, text] of Object.entries({ good, bad, badLater, hard })) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'garbage'), 'hello\n');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

interface Run {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

async function run(...args: string[]): Promise<Run> {
  let out = '';
  let err = '';
  const exitCode = await runProgram(args, { out: (text) => (out += text), err: (text) => (err += text) });
  return { exitCode, out, err };
}

test.each([
  ['--workload', 'register'],
  ['--nemesis=kill', '--time'],
])('%s, which is not there yet, is told as such and is no verdict', async (...args) => {
  const { exitCode, out, err } = await run(...args);
  expect(exitCode).toBe(64);
  expect(out).toBe('');
  expect(err).toMatch(/not in this release.*check/s);
});

const check = (names: readonly string[], ...flags: string[]): Promise<Run> =>
  run('check', '--format', 'jepsen-register', ...flags, ...names.map((name) => join(folder, name)));

describe('check', () => {
  test.each<[names: string[], verdicts: string[], exitCode: number]>([
    [['good'], ['linearizable'], 0],
    [['good', 'good'], ['linearizable', 'linearizable'], 0],
    [['bad'], ['notLinearizable'], 1],
    [['good', 'bad'], ['linearizable', 'notLinearizable'], 1],
    [['hard'], ['unknown'], 2],
    [['good', 'hard'], ['linearizable', 'unknown'], 2],
    [['hard', 'bad'], ['unknown', 'notLinearizable'], 1],
    [['garbage', 'good'], ['linearizable'], 65],
    [['missing', 'bad'], ['notLinearizable'], 65],
  ])('%j: %j, exit code %i', async (names, verdicts, exitCode) => {
    const result = await check(names, '--memo-entries', '4');
    const lines = result.out.split('\n').slice(0, -1);
    const checked = names.filter((name) => !['garbage', 'missing'].includes(name));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
      verdicts.map((verdict, index) => {
        return { file: join(folder, checked[index]), verdict, ms: expect.any(Number) as number };
      }),
    );
    expect(result.exitCode).toBe(exitCode);
  });

  test('says what is wrong, and where', async () => {
    expect((await check(['bad'])).err).toContain('bad: client 0, read → "1": no order explains it');
    expect((await check(['hard'], '--memo-entries', '4')).err).toContain('1 of 1 keys undecided; raise --memo-entries');
    expect((await check(['garbage'])).err).toContain(`${join(folder, 'garbage')}:1: no event in the whole file`);
    expect((await check(['missing'])).err).toContain(`cannot read ${join(folder, 'missing')}: ENOENT`);
    expect((await check(['.'])).err).toContain('EISDIR');
  });

  test('draws the smallest failing part of all files', async () => {
    const html = join(folder, 'timeline.html');
    const { err, exitCode } = await check(['badLater', 'bad', 'good'], '--html', html);
    expect(exitCode).toBe(1);
    expect(err).toContain(`${html}: the smallest failing part, from ${join(folder, 'bad')}`);
    expect(readFileSync(html, 'utf8')).toContain('1 operation until it went wrong');
  });

  test('draws nothing when nothing failed', async () => {
    const html = join(folder, 'none.html');
    const { err, exitCode } = await check(['good'], '--html', html);
    expect({ exitCode, written: existsSync(html) }).toEqual({ exitCode: 0, written: false });
    expect(err).toContain('nothing to draw');
  });

  test('complains of a timeline that it cannot write', async () => {
    const { err, exitCode } = await check(['bad'], '--html', join(folder, 'no', 'such', 'folder.html'));
    expect(exitCode).toBe(65);
    expect(err).toContain('cannot write');
  });
});

describe('usage', () => {
  test.each<[args: string[], message: string]>([
    [['check', 'file'], "required option '--format <format>' not specified"],
    [['check', '--format', 'csv', 'file'], 'Allowed choices are porcupine-kv, jepsen-register'],
    [['check', '--format', 'porcupine-kv'], "missing required argument 'file'"],
    [['check', '--format', 'porcupine-kv', '--time', 'long', 'file'], 'It must be a positive number of seconds'],
    [['check', '--format', 'porcupine-kv', '--memo-entries', '1.5', 'file'], 'a positive number of entries'],
    [['check', '--format', 'porcupine-kv', '--htlm', 'a', 'file'], "unknown option '--htlm'"],
    [['chekc'], "unknown command 'chekc'"],
    [[], 'Usage: jepsen'],
  ])('%j is refused with a code that is no verdict', async (args, message) => {
    const { exitCode, out, err } = await run(...args);
    expect(err).toContain(message);
    expect({ exitCode, out }).toEqual({ exitCode: 64, out: '' });
  });

  test('help is no error', async () => {
    const { exitCode, out } = await run('check', '--help');
    expect(exitCode).toBe(0);
    expect(out).toContain('Exit status: 0 all linearizable, 1 some not, 2 some unknown');
  });
});
