/** The command `check`: verdicts on recorded histories, a line of JSON per file. */
import { readFileSync, writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { checkHistory, HistoryError, type CheckResult, type Model, type Verdict } from './checker/check.js';
import { describeFailure } from './checker/timeline/describe-failure.js';
import { renderTimeline } from './checker/timeline/render.js';
import { exitCodes, type Streams } from './command.js';
import { HistoryFormatError } from './histories/event-log.js';
import { formats, type FormatName } from './histories/formats.js';

interface CheckFlags {
  readonly format: FormatName;
  readonly html?: string;
  readonly time: number;
  readonly memoEntries: number;
}

/** A part of a history that failed, and how to draw it. */
interface Drawable {
  readonly operationCount: number;
  readonly html: () => string;
}

type FileOutcome =
  | { readonly type: 'unreadable'; readonly message: string }
  | { readonly type: 'linearizable' }
  | { readonly type: 'unknown'; readonly explanation: string }
  | { readonly type: 'notLinearizable'; readonly explanation: string; readonly drawable: Drawable };

/** @param finish receives the exit code when the command has run. */
export function checkCommand(streams: Streams, finish: (exitCode: number) => void): Command {
  return new Command('check')
    .summary('check recorded histories for linearizability')
    .description(
      'Checks recorded histories for linearizability and prints {"file", "verdict", "ms"} for each, one to a line.\n' +
        'Exit status: 0 all linearizable, 1 some not, 2 some unknown (a cap was reached), 64 wrong usage, ' +
        '65 a file cannot be read or written.',
    )
    .addOption(
      new Option('--format <format>', 'the format of the files').choices(Object.keys(formats)).makeOptionMandatory(),
    )
    .option('--html <file>', 'write a timeline of the smallest part, of all files, that is not linearizable')
    .option('--time <seconds>', 'give up on a file after this long', positive('seconds', Number), 60)
    .option(
      '--memo-entries <count>',
      'cap on memory, about 100 bytes each',
      positive('entries', wholeNumber),
      4_194_304,
    )
    .argument('<file...>', 'the histories')
    .action((files: string[], flags: CheckFlags) => {
      finish(checkFiles(files, flags, streams));
    });
}

function checkFiles(files: readonly string[], flags: CheckFlags, streams: Streams): number {
  const outcomes = new Set<FileOutcome['type']>();
  let smallest: { readonly file: string; readonly drawable: Drawable } | undefined;
  for (const file of files) {
    const startMs = performance.now();
    const outcome = checkFile(file, flags);
    const ms = Math.round((performance.now() - startMs) * 10) / 10;
    outcomes.add(outcome.type);
    if (outcome.type === 'unreadable') {
      streams.err(`${outcome.message}\n`);
      continue;
    }
    streams.out(`${JSON.stringify({ file, verdict: outcome.type satisfies Verdict, ms })}\n`);
    if (outcome.type === 'linearizable') continue;
    streams.err(`${file}: ${outcome.explanation}\n`);
    if (outcome.type === 'unknown') continue;
    if (smallest === undefined || outcome.drawable.operationCount < smallest.drawable.operationCount) {
      smallest = { file, drawable: outcome.drawable };
    }
  }

  if (flags.html !== undefined) {
    if (smallest === undefined) {
      streams.err(`nothing to draw: no history is notLinearizable, so ${flags.html} is not written\n`);
    } else {
      const failed = tryWrite(flags.html, smallest.drawable.html());
      streams.err(failed ?? `${flags.html}: the smallest failing part, from ${smallest.file}\n`);
      if (failed !== undefined) return exitCodes.badInput;
    }
  }
  if (outcomes.has('unreadable')) return exitCodes.badInput;
  if (outcomes.has('notLinearizable')) return exitCodes.notLinearizable;
  return outcomes.has('unknown') ? exitCodes.unknown : exitCodes.linearizable;
}

function checkFile(file: string, flags: CheckFlags): FileOutcome {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return { type: 'unreadable', message: `cannot read ${file}: ${messageOf(error)}` };
  }
  try {
    return formats[flags.format](text, (model, history) => {
      const caps = { timeMsMax: flags.time * 1000, memoEntriesMax: flags.memoEntries };
      const result = checkHistory({ model, history, ...caps, now: () => performance.now() });
      return outcomeOf(file, model, result);
    });
  } catch (error) {
    if (error instanceof HistoryFormatError) {
      const message = `${file}:${error.line}: ${error.message}; is the format really ${flags.format}?`;
      return { type: 'unreadable', message };
    }
    if (error instanceof HistoryError) return { type: 'unreadable', message: `${file}: ${error.message}` };
    throw error;
  }
}

function outcomeOf<State, Input, Output>(
  file: string,
  model: Model<State, Input, Output>,
  { verdict, partitions, failure }: CheckResult<State, Input, Output>,
): FileOutcome {
  if (failure !== undefined) {
    const html = (): string => renderTimeline({ model, failure, title: file });
    const drawable = { operationCount: failure.operations.length, html };
    return { type: 'notLinearizable', explanation: describeFailure(model, failure), drawable };
  }
  if (verdict === 'linearizable') return { type: 'linearizable' };
  const undecided = partitions.filter((partition) => partition.verdict === 'unknown');
  const caps = new Set(undecided.map(({ reason }) => (reason === 'time' ? '--time' : '--memo-entries')));
  const explanation = `${undecided.length} of ${partitions.length} keys undecided; raise ${[...caps].join(' and ')}`;
  return { type: 'unknown', explanation };
}

/** The complaint, if the file cannot be written. */
function tryWrite(file: string, text: string): string | undefined {
  try {
    writeFileSync(file, text);
    return undefined;
  } catch (error) {
    return `cannot write ${file}: ${messageOf(error)}\n`;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const wholeNumber = (text: string): number => (Number.isSafeInteger(Number(text)) ? Number(text) : NaN);

function positive(unit: string, parse: (text: string) => number): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (!(value > 0 && value < Infinity)) throw new InvalidArgumentError(`It must be a positive number of ${unit}.`);
    return value;
  };
}
