/** Every command and option of `quorate`. What they do is in `commands/`, loaded only when it is asked for. */
import { createRequire } from 'node:module';

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';

import { QuorateError } from '../base/errors.js';
import type { DevOptions } from './commands/dev.js';
import type { GetOptions } from './commands/get.js';
import type { ScanCommandOptions } from './commands/scan.js';
import type { ServeOptions } from './commands/serve.js';
import { devNodeIds } from './dev/layout.js';
import { CommandFailure, describeFailure, exitFailed, failureToJson } from './failure.js';
import { importFormats, type ImportFormat } from './import/formats.js';
import { addClientOptions, clientOptions, durationOption, wholeNumber } from './options.js';
import type { CommandContext } from './session.js';
import { addNodeCommands } from './node-program.js';
import { addShardCommands } from './shard-program.js';
import { addStorageCommands } from './storage-program.js';
import { bytesOf, fromBase64 } from './text.js';

interface Base64Option {
  /** KEY, VALUE and the bounds of ranges are base64. */
  readonly base64?: boolean;
}

interface WriteFlags extends Base64Option {
  readonly ifAbsent?: boolean;
  readonly ifVersion?: number;
  readonly ifValue?: string;
}

/** Runs a command line (without node and script); resolves to the exit status. Never rejects. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let status = 0;
  const isJson = asksForJson(args);
  const program = buildProgram(isJson, (result) => {
    status = result;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return status;
  } catch (error) {
    const isUsage = error instanceof CommanderError && !(error instanceof InvalidArgumentError);
    // --help and --version end here too.
    if (isUsage && error.exitCode === 0) return 0;
    if (isJson) process.stderr.write(`${JSON.stringify(failureToJson(isUsage ? usageError(error) : error))}\n`);
    // Otherwise commander has said what is wrong with the command line.
    else if (!isUsage) process.stderr.write(`quorate: ${failureText(error)}\n`);
    return exitFailed;
  }
}

/** Looked for here, because a command line that cannot be parsed is to be reported as JSON too. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}

function usageError(error: CommanderError): QuorateError {
  const isHelp = error.code === 'commander.help';
  const message = isHelp ? 'a command is missing; --help lists them' : error.message.replace(/^error: /, '');
  return new QuorateError('INVALID_ARGUMENT', message.replace(/\s*\n\s*/g, ' '));
}

/** A configuration error lists its problems on lines of their own; everything else is one line. */
function failureText(error: unknown): string {
  if (error instanceof Error && error.name === 'ConfigError') return error.message;
  const isExpected =
    error instanceof QuorateError || error instanceof CommandFailure || error instanceof InvalidArgumentError;
  if (isExpected || !(error instanceof Error) || process.env.NODE_DEBUG === undefined) return describeFailure(error);
  return error.stack ?? error.message;
}

function buildProgram(isJson: boolean, done: (status: number) => void): Command {
  const program = new Command('quorate')
    .description('A strongly consistent, range-sharded key-value store.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ writeErr: (text) => (isJson ? undefined : process.stderr.write(text)) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help tells more)');
  addClientOptions(program);
  addReads(program, done);
  addWrites(program, done);
  addTransfers(program, done);
  addNodes(program, done);
  addNodeCommands(program, done);
  addShardCommands(program, done);
  addStorageCommands(program, done);
  for (const command of program.commands) command.configureHelp({ showGlobalOptions: true });
  return program;
}

function addReads(program: Command, done: (status: number) => void): void {
  withBase64(program.command('get'))
    .description('print the value of a key; exit status 1 when it is absent')
    .argument('<key>')
    .option('--raw', "write the value's bytes and nothing else")
    .option('--stale', 'ask any replica, which may lag behind')
    .action(async (key: string, options: GetOptions & Base64Option, command: Command) => {
      const { get } = await import('./commands/get.js');
      done(await get(context(command), argumentBytes('KEY', key, options), options));
    });

  withBase64(program.command('scan'))
    .description('print the records of a range, in key order')
    .option('--prefix <p>', 'only keys that begin with this')
    .option('--start <k>', 'first key')
    .option('--end <k>', 'first key after the range')
    .option('--limit <n>', 'records at most (default: 100 in a table, all with --json)', wholeNumber(1))
    .option('--reverse', 'from the largest key to the smallest')
    .option('--keys-only', 'leave values out')
    .option('--stale', 'ask any replica, which may lag behind')
    .action(async (_options: unknown, command: Command) => {
      const { scan } = await import('./commands/scan.js');
      const given = command.opts<
        Omit<ScanCommandOptions, 'prefix' | 'start' | 'end'> &
          Base64Option &
          Partial<Record<'prefix' | 'start' | 'end', string>>
      >();
      const bound = (name: 'prefix' | 'start' | 'end'): Uint8Array | undefined =>
        given[name] === undefined ? undefined : argumentBytes(`--${name}`, given[name], given);
      const range = { prefix: bound('prefix'), start: bound('start'), end: bound('end') };
      done(await scan(context(command), { ...given, limit: given.limit, ...range }));
    });

  program
    .command('status')
    .description('print nodes and shards: ranges, leaders, terms, applied indexes, sizes, lag')
    .action(async (_options: unknown, command: Command) => {
      const { status } = await import('./commands/status.js');
      done(await status(context(command)));
    });
}

function addWrites(program: Command, done: (status: number) => void): void {
  withConditions(withBase64(program.command('put')))
    .description('write a key; exit status 1 when a condition does not hold')
    .argument('<key>')
    .argument('[value]', 'left out: read from standard input')
    .action(async (key: string, value: string | undefined, options: WriteFlags, command: Command) => {
      const { put } = await import('./commands/write.js');
      const bytes = value === undefined ? await readStandardInput() : argumentBytes('VALUE', value, options);
      done(await put(context(command), argumentBytes('KEY', key, options), bytes, conditions(options)));
    });

  withConditions(withBase64(program.command('del')))
    .description('remove a key; exit status 1 when a condition does not hold')
    .argument('<key>')
    .action(async (key: string, options: WriteFlags, command: Command) => {
      const { del } = await import('./commands/write.js');
      done(await del(context(command), argumentBytes('KEY', key, options), conditions(options)));
    });
}

function addTransfers(program: Command, done: (status: number) => void): void {
  program
    .command('import')
    .description('write the records of a file: NDJSON lines {"key": …, "value": …}, CSV or TSV')
    .argument('<file>', '`-` is standard input')
    .addOption(new Option('--format <format>', 'default: by the extension').choices(importFormats))
    .option('--no-header', 'CSV and TSV: the first line is data, key first and value second')
    .option('--skip-bad-lines', 'count lines that cannot be used instead of stopping at the first')
    .addOption(durationOption('--record-timeout <time>', 'how long one record may take, retries included', 60_000))
    .option('--in-flight <n>', 'records under way at a time', wholeNumber(1), 256)
    .action(async (file: string, _options: unknown, command: Command) => {
      const { importRecords } = await import('./commands/import.js');
      const {
        format,
        header,
        skipBadLines = false,
        recordTimeout,
        inFlight,
      } = command.opts<{
        format?: ImportFormat;
        header: boolean;
        skipBadLines?: boolean;
        recordTimeout: number;
        inFlight: number;
      }>();
      const settings = { format, noHeader: !header, skipBadLines, recordTimeoutMs: recordTimeout, inFlight };
      done(await importRecords(context(command), file, settings));
    });

  withBase64(program.command('export'))
    .description('print every record as NDJSON, in key order, as of one moment')
    .option('--prefix <p>', 'only keys that begin with this')
    .addOption(durationOption('--export-timeout <time>', 'how long the whole may take', 3_600_000))
    .action(async (options: { prefix?: string; exportTimeout: number } & Base64Option, command: Command) => {
      const { exportRecords } = await import('./commands/export.js');
      const prefix = options.prefix === undefined ? undefined : argumentBytes('--prefix', options.prefix, options);
      done(await exportRecords(context(command), { prefix, deadlineMs: options.exportTimeout }));
    });
}

function addNodes(program: Command, done: (status: number) => void): void {
  program
    .command('serve')
    .description('run one node; settings from flags, QUORATE_… variables and a file (docs/configuration.md)')
    .option('--config <file>', 'YAML (default: QUORATE_CONFIG)')
    .option('--node-id <n>')
    .option('--data-directory <folder>')
    .option('--client-listen <address>', 'host:port of the gRPC service')
    .option('--peer-listen <address>', 'host:port for the other nodes')
    .option('--log-level <level>', 'debug, info, warn or error')
    .option('--log-format <format>', 'json or pretty')
    .option('--set <path=value>', 'any setting: limits.keyBytesMax=8KiB; may be repeated', collect, [])
    .option('--print-config', 'print the effective configuration and exit')
    .action(async (options: ServeOptions) => {
      const { serve } = await import('./commands/serve.js');
      done(await serve(options));
    });

  const dev = withDevOptions(program.command('dev'))
    .description('run three nodes on this machine, for trying things out')
    .action(async (_options: unknown, command: Command) => {
      const { dev: runDev } = await import('./commands/dev.js');
      done(await runDev(command.optsWithGlobals<DevOptions>()));
    });
  withDevOptions(dev.command('start'))
    .description('start nodes of the running `quorate dev` that are down')
    .argument('[node...]', 'default: all that are down', parseNodeIds)
    .action(async (ids: readonly number[] | undefined, _options: unknown, command: Command) => {
      const { devStart } = await import('./commands/dev.js');
      done(await devStart(ids ?? [], command.optsWithGlobals<DevOptions>()));
    });
}

function withBase64(command: Command): Command {
  return command.option('--base64', 'KEY, VALUE and the bounds of ranges are given in base64');
}

function withConditions(command: Command): Command {
  return command
    .addOption(new Option('--if-absent', 'only if the key has no value').conflicts(['ifVersion', 'ifValue']))
    .addOption(
      new Option('--if-version <n>', "only if the key's value has this version")
        .argParser(wholeNumber(1))
        .conflicts(['ifValue']),
    )
    .option('--if-value <value>', 'only if the key has this value');
}

function withDevOptions(command: Command): Command {
  return command
    .option('--data <folder>', 'where everything is kept (default: QUORATE_DATA, or .quorate)')
    .option(
      '--port <n>',
      'first client port; peer ports begin 100 above (default: QUORATE_PORT, or 7001)',
      wholeNumber(1),
    );
}

function conditions(options: WriteFlags): { ifAbsent?: boolean; ifVersion?: number; ifValue?: Uint8Array } {
  return {
    ...(options.ifAbsent === undefined ? {} : { ifAbsent: options.ifAbsent }),
    ...(options.ifVersion === undefined ? {} : { ifVersion: options.ifVersion }),
    ...(options.ifValue === undefined ? {} : { ifValue: argumentBytes('--if-value', options.ifValue, options) }),
  };
}

function context(command: Command): CommandContext {
  return clientOptions(command);
}

function argumentBytes(name: string, text: string, options: Base64Option): Uint8Array {
  const bytes = options.base64 === true ? fromBase64(text) : bytesOf(text);
  if (bytes === undefined)
    throw new CommandFailure(`${name} is not valid ${options.base64 === true ? 'base64' : 'text'}`);
  return bytes;
}

function parseNodeIds(text: string, before: readonly number[] | undefined): readonly number[] {
  const id = devNodeIds.find((candidate) => String(candidate) === text);
  if (id === undefined) throw new InvalidArgumentError(`Expected one of ${devNodeIds.join(', ')}.`);
  return [...(before ?? []), id];
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

function packageVersion(): string {
  return (createRequire(import.meta.url)('quorate/package.json') as { version: string }).version;
}
