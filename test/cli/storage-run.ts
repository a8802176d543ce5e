/** What the tests of `quorate storage` share. */
import { readFile, writeFile } from 'node:fs/promises';

import { vi } from 'vitest';

import { runProgram } from '../../src/cli/program.js';

/** Runs `quorate storage` in this process. */
export async function runStorage(
  ...args: readonly string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  const status = await runProgram(['storage', ...args]);
  for (const spy of spies) spy.mockRestore();
  return { status, ...written };
}

/** Turns a bit of the file. */
export async function flip(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[offset] ^= 4;
  await writeFile(path, bytes);
}
