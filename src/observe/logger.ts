/**
 * The program's log: one line per event, JSON (or, on a terminal, meant for eyes). pino makes the lines, a `LogWriter`
 * takes them, so that a slow terminal or disk never delays anything.
 */
import pino from 'pino';
import type { LogWriter } from './log-writer.ts';
import { prettyLine } from './pretty-line.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/** `event` is stable and made for machines (`backend.down`), `message` for people. */
export interface Logger {
  debug(event: string, message: string, fields?: LogFields): void;
  info(event: string, message: string, fields?: LogFields): void;
  warn(event: string, message: string, fields?: LogFields): void;
  error(event: string, message: string, fields?: LogFields): void;
  fatal(event: string, message: string, fields?: LogFields): void;
}

/** The same log; its lines have these fields too. */
export function withFields(log: Logger, own: LogFields): Logger {
  return {
    debug: (event, message, fields) => log.debug(event, message, { ...own, ...fields }),
    info: (event, message, fields) => log.info(event, message, { ...own, ...fields }),
    warn: (event, message, fields) => log.warn(event, message, { ...own, ...fields }),
    error: (event, message, fields) => log.error(event, message, { ...own, ...fields }),
    fatal: (event, message, fields) => log.fatal(event, message, { ...own, ...fields }),
  };
}

export interface LoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly writer: LogWriter;
  /** Undefined: JSON lines. */
  readonly pretty?: { readonly hasColours: boolean };
}

export interface CreatedLogger {
  readonly logger: Logger;
  setLevel(level: LoggerOptions['level']): void;
}

export function createLogger(options: LoggerOptions): CreatedLogger {
  const { writer, pretty } = options;
  const lines = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    {
      write(line: string): void {
        const text = pretty === undefined ? line : prettyLine(line, pretty.hasColours);
        writer.write(Buffer.from(text), 1, false);
      },
    },
  );
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error' | 'fatal') =>
    (event: string, message: string, fields?: LogFields): void => {
      lines[level]({ event, ...fields }, message);
    };
  return {
    logger: {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      fatal: at('fatal'),
    },
    setLevel(level) {
      lines.level = level;
    },
  };
}
