import type { LogFields, Logger } from '../env/logger.js';
import type { Scheduler } from './scheduler.js';

export interface LogLine {
  /** Virtual time. */
  readonly timeMs: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

export interface SimLogOptions {
  /** At least so many of the last lines are kept. Default 10,000. */
  readonly linesMax?: number;
  readonly onLine?: (line: LogLine) => void;
}

/** What all nodes of a simulated cluster logged, in order; the oldest lines go when there are too many. */
export class SimLog {
  readonly #scheduler: Scheduler;
  readonly #onLine: ((line: LogLine) => void) | undefined;
  readonly #linesMax: number;
  #lines: LogLine[] = [];

  constructor(scheduler: Scheduler, { linesMax = 10_000, onLine }: SimLogOptions = {}) {
    this.#scheduler = scheduler;
    this.#onLine = onLine;
    this.#linesMax = linesMax;
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** A logger that adds `fields`, such as the node, to every line. */
  logger(fields: LogFields = {}): Logger {
    const at =
      (level: LogLine['level']) =>
      (message: string, more: LogFields = {}): void =>
        this.#add({ timeMs: this.#scheduler.nowMs, level, message, fields: { ...fields, ...more } });
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (more) => this.logger({ ...fields, ...more }),
    };
  }

  /** For people: a line each, the virtual time first. */
  text(): string {
    return this.#lines.map(format).join('\n');
  }

  #add(line: LogLine): void {
    this.#onLine?.(line);
    this.#lines.push(line);
    if (this.#lines.length >= 2 * this.#linesMax) this.#lines = this.#lines.slice(-this.#linesMax);
  }
}

function format({ timeMs, level, message, fields }: LogLine): string {
  const shown = Object.entries(fields).map(([name, value]) => ` ${name}=${showValue(value)}`);
  return `${timeMs.toFixed(3).padStart(12)} ${level.padEnd(5)} ${message}${shown.join('')}`;
}

function showValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(`${value.name}: ${value.message}`);
  return JSON.stringify(value) ?? 'undefined';
}
