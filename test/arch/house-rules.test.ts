import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { filesUnder, foldersUnder, read, root } from './files.js';

const sourceFolders = ['src', 'test', 'jepsen-lite', 'bench'];
const sources = sourceFolders.flatMap((folder) => filesUnder(folder, '.ts'));
const documents = filesUnder('', '.md');

describe('source files', () => {
  const linesMax = 400;

  test(`have at most ${linesMax} lines, or say in their first comment why not`, () => {
    const long = sources.filter((path) => {
      const text = read(path);
      const firstComment = /^\/\*\*[\s\S]*?\*\/|^(\/\/.*\n)+/.exec(text)?.[0] ?? '';
      return text.split('\n').length - 1 > linesMax && !/\bone file\b/i.test(firstComment);
    });
    expect(long).toEqual([]);
  });

  test('leave nothing for later', () => {
    const marks = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`);
    expect(sources.filter((path) => marks.test(read(path)))).toEqual([]);
  });

  test('contain no focused test, and no unconditionally skipped one', () => {
    const focused = /\b(describe|it|test)\.(only|skip|todo)\(/;
    const tests = sources.filter((path) => path.endsWith('.test.ts'));
    expect(tests.filter((path) => focused.test(read(path)))).toEqual([]);
  });

  test('switch off a rule only with a reason after it', () => {
    const escapes = new RegExp(['@ts-' + 'ignore', '@ts-' + 'nocheck', 'eslint-' + 'disable(?!.* -- .)'].join('|'));
    expect(sources.filter((path) => escapes.test(read(path)))).toEqual([]);
  });
});

describe('folders', () => {
  test('of src have a README', () => {
    const missing = foldersUnder('src').filter((folder) => !existsSync(join(root, 'src', folder, 'README.md')));
    expect(missing).toEqual([]);
  });
});

describe('documents', () => {
  test('exist for every format', () => {
    const formats = filesUnder('src', '-format.ts').map((path) => ({ path, name: basename(path, '-format.ts') }));
    expect(formats.length).toBeGreaterThan(3);
    const pages = ['docs/formats', 'docs/protocol']
      .flatMap((folder) => filesUnder(folder, '.md'))
      .map((path) => ({ path, text: read(path) }));
    const undocumented = formats.filter(
      ({ path, name }) => !pages.some((page) => basename(page.path, '.md') === name || page.text.includes(path)),
    );
    expect(undocumented.map(({ path }) => path)).toEqual([]);
  });

  test('link to what is there', () => {
    const broken = documents.flatMap((path) =>
      linksOf(read(path))
        .filter((target) => !/^[a-z]+:/.test(target) && !target.startsWith('#'))
        .filter((target) => !existsSync(join(root, dirname(path), decodeURI(target.split('#')[0]))))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('name files of the project that are there', () => {
    const mention = /`((?:src|docs|proto|test|bench|jepsen-lite)\/[\w./-]+\.(?:ts|md|proto|mjs))`/g;
    const broken = documents.flatMap((path) =>
      [...read(path).matchAll(mention)]
        .map((match) => match[1])
        .filter((target) => !existsSync(join(root, target)))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('are the ones that comments in the sources name', () => {
    const broken = sources.flatMap((path) =>
      [...read(path).matchAll(/\bdocs\/[\w/-]+\.md\b/g)]
        .map((match) => match[0])
        .filter((target) => !existsSync(join(root, target)))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('include a page for each decision, dated and of at most a page', () => {
    const decisions = filesUnder('docs/decisions', '.md').filter((path) => basename(path) !== 'README.md');
    expect(decisions.filter((path) => !/^\d{4}-\d{2}-\d{2}-[a-z0-9-]+\.md$/.test(basename(path)))).toEqual([]);
    expect(decisions.filter((path) => read(path).split('\n').length > 80)).toEqual([]);
  });

  test('tell users what changed', () => {
    expect(read('CHANGELOG.md')).toMatch(/^## Unreleased\n\n- /m);
  });
});

/** Targets of inline links, outside of code. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => match[1]);
}
