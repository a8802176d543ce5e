/** Behaviour as text: each script in `testdata/` is run, and its trace compared with the golden beside it. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runScript } from './script.js';

const folder = join(import.meta.dirname, 'testdata');
const scripts = readdirSync(folder).filter((name) => name.endsWith('.txt'));

describe('golden scripts', () => {
  test('are there, each with its trace', () => {
    expect(scripts.length).toBeGreaterThanOrEqual(20);
    // One without the other would be written anew, or compared with nothing.
    const traces = readdirSync(folder).filter((name) => name.endsWith('.trace'));
    expect(traces.map((name) => basename(name, '.trace'))).toEqual(scripts.map((name) => basename(name, '.txt')));
  });

  test.each(scripts)('%s', async (name) => {
    const trace = runScript(readFileSync(join(folder, name), 'utf8'));
    await expect(trace).toMatchFileSnapshot(join(folder, `${basename(name, '.txt')}.trace`));
  });
});
