import { Command, CommanderError } from 'commander';
import { checkCommand } from './check-command.js';
import { exitCodes, type Streams } from './command.js';

/** Runs the command line `args` (without node and script) and returns the exit code. */
export async function runProgram(args: readonly string[], streams: Streams): Promise<number> {
  let exitCode: number = exitCodes.wrongUsage;
  const program = new Command('jepsen')
    .description('Looks for broken promises: checks recorded histories.')
    .showHelpAfterError('(add --help for what there is)')
    .configureOutput({ writeOut: (text) => streams.out(text), writeErr: (text) => streams.err(text) })
    .exitOverride();
  program.addCommand(checkCommand(streams, (code) => (exitCode = code)).copyInheritedSettings(program));
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has written the message. Its exit code 1 for wrong usage would read as a verdict.
    return error.exitCode === 0 ? 0 : exitCodes.wrongUsage;
  }
  return exitCode;
}
