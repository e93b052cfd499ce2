/**
 * The program's log: one line per event, JSON (or, on a terminal, meant for eyes). pino makes the lines, a `LogWriter`
 * takes them, so that a slow terminal or disk never delays anything. Whoever follows the events gets the same lines, those as
 * well that the log is too terse for.
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

type Level = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

const RANKS: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 };

export interface LoggerOptions {
  readonly level: Exclude<Level, 'fatal'>;
  /** Null: the lines go nowhere. */
  readonly writer: LogWriter | null;
  /** Undefined: JSON lines. */
  readonly pretty?: { readonly hasColours: boolean };
  /** Gets the JSON line of each event from `info` on, whatever the level is. It logs nothing itself. */
  readonly tell?: (event: string, line: string) => void;
}

export interface CreatedLogger {
  readonly logger: Logger;
  setLevel(level: LoggerOptions['level']): void;
}

export function createLogger(options: LoggerOptions): CreatedLogger {
  const { writer, pretty, tell } = options;
  let threshold = options.level;
  let isWritten = false;
  let eventNow = '';
  const lines = pino(
    {
      level: leastOf(options.level),
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    {
      write(line: string): void {
        if (isWritten && writer !== null) {
          const text = pretty === undefined ? line : prettyLine(line, pretty.hasColours);
          writer.write(Buffer.from(text), 1, false);
        }
        if (eventNow !== '') tell?.(eventNow, line);
      },
    },
  );
  const at =
    (level: Level) =>
    (event: string, message: string, fields?: LogFields): void => {
      // pino makes the line, and hands it over, within the call.
      isWritten = RANKS[level] >= RANKS[threshold];
      eventNow = level === 'debug' ? '' : event;
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
      threshold = level;
      lines.level = leastOf(level);
    },
  };
}

/** Lines that are not written are events all the same. */
function leastOf(level: LoggerOptions['level']): 'debug' | 'info' {
  return level === 'debug' ? 'debug' : 'info';
}
