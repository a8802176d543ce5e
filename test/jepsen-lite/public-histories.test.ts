/** Recorded histories of real systems, whose verdicts are known. They live beside the project, not in it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkHistory } from '../../jepsen-lite/checker/check.js';
import { formats, type FormatName } from '../../jepsen-lite/histories/formats.js';

const folder = join(import.meta.dirname, '../../../shared/histories/porcupine');
const present = existsSync(join(folder, 'labels.json'));
if (!present) process.stderr.write(`skipped: the public histories, for ${folder} is not there\n`);

type Labels = Record<'kv' | 'jepsen-etcd', Record<string, boolean>>;

function labelsOf(subfolder: keyof Labels): [file: string, linearizable: boolean][] {
  if (!present) return [];
  const labels = JSON.parse(readFileSync(join(folder, 'labels.json'), 'utf8')) as Labels;
  return Object.entries(labels[subfolder]);
}

function verdictOf(format: FormatName, path: string): string {
  return formats[format](readFileSync(path, 'utf8'), (model, history) => {
    const timeMsMax = 20_000;
    return checkHistory({ model, history, timeMsMax, now: () => performance.now() }).verdict;
  });
}

describe.each([
  { subfolder: 'kv', format: 'porcupine-kv', fileCount: 4 },
  { subfolder: 'jepsen-etcd', format: 'jepsen-register', fileCount: 50 },
] as const)('$subfolder', ({ subfolder, format, fileCount }) => {
  test.skipIf(!present)('has all its files', () => {
    expect(labelsOf(subfolder)).toHaveLength(fileCount);
  });

  test.each(labelsOf(subfolder))('%s: linearizable is %s', (file, linearizable) => {
    expect(verdictOf(format, join(folder, subfolder, file))).toBe(linearizable ? 'linearizable' : 'notLinearizable');
  });
});
