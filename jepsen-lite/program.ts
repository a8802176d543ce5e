import { Command, CommanderError } from 'commander';
import { checkCommand } from './check-command.js';
import { exitCodes, type Streams } from './command.js';

/** Of a command that will run workloads against real processes under faults. */
const notYet = /^--(workload|nemesis)(=|$)/;

/** Runs the command line `args` (without node and script) and returns the exit code. */
export async function runProgram(args: readonly string[], streams: Streams): Promise<number> {
  if (args[0] !== undefined && notYet.test(args[0])) {
    streams.err(
      `${args[0]}: running workloads under faults is not in this release. What there is: check, for recorded ` +
        'histories (see --help), and `npm run sim`, whole clusters under faults in a simulator\n',
    );
    return exitCodes.wrongUsage;
  }
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
