/** `quorate storage …`: its command lines. What they do is in `commands/storage.ts`. */
import type { Command } from 'commander';

import { CommandFailure } from './failure.js';
import { wholeNumber } from './options.js';
import { bytesOf, fromBase64 } from './text.js';

const directoryHelp = 'data directory of a node that is down, or the folder of one tree';

export function addStorageCommands(program: Command, done: (status: number) => void): void {
  const storage = program.command('storage').description('check and look into the tables of a node that is down');

  storage
    .command('verify')
    .description(
      'read every byte of every table and value file; exit status 1 and file and offset where something is damaged',
    )
    .argument('<directory>', directoryHelp)
    .action(async (directory: string, _options: unknown, command: Command) => {
      const { verify } = await import('./commands/storage.js');
      done(await verify({ directory, json: isJson(command) }));
    });

  storage
    .command('dump')
    .description(
      'print all entries of the tables, deletions and old versions too: key, version, kind, value; before them deleted ranges',
    )
    .argument('<directory>', directoryHelp)
    .option('--start <k>', 'first key, as the engine has it')
    .option('--end <k>', 'first key after the range')
    .option('--base64', '--start and --end are given in base64')
    .option('--limit <n>', 'entries at most', wholeNumber(1))
    .action(async (directory: string, options: DumpFlags, command: Command) => {
      const { dump } = await import('./commands/storage.js');
      const start = bound('--start', options.start, options) ?? new Uint8Array(0);
      const end = bound('--end', options.end, options);
      done(await dump({ directory, json: isJson(command), start, end, limit: options.limit ?? Infinity }));
    });

  storage
    .command('stats')
    .description('print what each level of each tree holds, and its value files')
    .argument('<directory>', directoryHelp)
    .action(async (directory: string, _options: unknown, command: Command) => {
      const { stats } = await import('./commands/storage.js');
      done(await stats({ directory, json: isJson(command) }));
    });

  for (const command of storage.commands) command.configureHelp({ showGlobalOptions: true });
}

interface DumpFlags {
  readonly start?: string;
  readonly end?: string;
  readonly base64?: boolean;
  readonly limit?: number;
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ json?: boolean }>().json === true;
}

function bound(name: string, text: string | undefined, { base64 }: DumpFlags): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const bytes = base64 === true ? fromBase64(text) : bytesOf(text);
  if (bytes === undefined) throw new CommandFailure(`${name} is not valid ${base64 === true ? 'base64' : 'text'}`);
  return bytes;
}
