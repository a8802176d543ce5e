import { pino, stdSerializers, type DestinationStream, type Logger as Pino } from 'pino';
import type { Logger } from '../env/logger.js';

export interface PinoLoggerOptions {
  /** Messages below are dropped. Default `info`. */
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Gets one line of JSON for each message. Default: standard output, written synchronously. */
  readonly destination?: DestinationStream;
}

/** Writes one line of JSON for each message; `error` among the fields is written with its stack. */
export function pinoLogger(options: PinoLoggerOptions = {}): Logger {
  const settings = {
    level: options.level ?? 'info',
    timestamp: (): string => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: stdSerializers.err },
  };
  return adapt(options.destination === undefined ? pino(settings) : pino(settings, options.destination));
}

function adapt(logger: Pino): Logger {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => adapt(logger.child(fields)),
  };
}
