import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { nodeArguments } from '../../src/platform/node-arguments.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'quorate-launcher-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the command quorate', () => {
  test.each(['as it is', 'by a link, as npm makes it'])('starts Node as other programs start nodes (%s)', (how) => {
    // Instead of Node something that says what it was given.
    const saysVersion = `case $1 in --version) echo ${process.version}; exit;; esac`;
    writeFileSync(join(folder, 'node'), `#!/bin/sh\n${saysVersion}\nprintf "%s\\n" "$@"\nexit 7\n`, { mode: 0o755 });
    const command = join(root, 'bin/quorate');
    const link = join(folder, 'quorate');
    if (how !== 'as it is') symlinkSync(command, link);
    const { stdout, status } = spawnSync(how === 'as it is' ? command : link, ['get', 'a key', ''], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${folder}:${process.env.PATH ?? ''}` },
    });
    const [main, ...rest] = stdout.split('\n').slice(nodeArguments.length);
    expect(stdout.split('\n').slice(0, nodeArguments.length)).toEqual(nodeArguments);
    expect(join(main)).toBe(join(root, 'dist/src/cli/main.js'));
    expect(rest).toEqual(['get', 'a key', '', '']);
    expect(status).toBe(7);
  });
});
