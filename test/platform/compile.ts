import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const project = fileURLToPath(new URL('../..', import.meta.url));
const relativeImport = /\bfrom '(\.{1,2}\/[^']+)\.js'/g;

/**
 * Compiles a module of this project and those that it imports into `folder`, because a worker thread of a test runs
 * outside of vitest and Node.js 20 runs no TypeScript. The modules may import only each other and Node.
 */
export async function compile(entry: URL, folder: string): Promise<URL> {
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const paths = new Set([fileURLToPath(entry)]);
  for (const path of paths) {
    const source = await readFile(path, 'utf8');
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
    });
    const target = compiledPath(path, folder);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, outputText);
    for (const [, name] of outputText.matchAll(relativeImport)) paths.add(join(dirname(path), `${name}.ts`));
  }
  return pathToFileURL(compiledPath(fileURLToPath(entry), folder));
}

function compiledPath(path: string, folder: string): string {
  return join(folder, relative(project, path)).replace(/\.ts$/, '.js');
}
