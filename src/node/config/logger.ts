/** The logger that the `logging` settings describe: JSON lines from pino, or the same made readable. */
import type { Logger } from '../../env/logger.js';
import { pinoLogger } from '../../platform/logger.js';
import type { LoggingOptions } from './config.js';

/** Writes to standard output. */
export function configuredLogger({ level, format }: LoggingOptions): Logger {
  if (format === 'json') return pinoLogger({ level });
  return pinoLogger({ level, destination: { write: (line) => void process.stdout.write(prettyLine(line)) } });
}

/** `12:00:00.000 WARN  the message  field=1 other="text"`; a stack goes on lines of its own. */
export function prettyLine(line: string): string {
  const { time, level, msg, pid: _pid, hostname: _hostname, error, ...fields } = JSON.parse(line) as LogLine;
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const text = [time.slice(11, 23), level.toUpperCase().padEnd(5), [msg, ...shown].join('  ')].join(' ');
  const stack = error === undefined ? '' : `    ${(error.stack ?? error.message ?? '').replace(/\n/g, '\n    ')}\n`;
  return `${text}\n${stack}`;
}

interface LogLine {
  /** ISO 8601. */
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly error?: { readonly stack?: string; readonly message?: string };
  readonly [field: string]: unknown;
}
