/** Opens the outputs that settings name: the program's log on standard output, the access log there or in a file. */
import { isatty } from 'node:tty';
import type { Settings } from '../config/settings.ts';
import { LogWriter } from '../observe/log-writer.ts';
import { createLogger, type Logger } from '../observe/logger.ts';
import { prettyAccessLine } from '../observe/pretty-line.ts';
import { EventRing } from './events/event-ring.ts';

export interface Logs {
  readonly log: Logger;
  /** The last lines of it, for whoever follows what happens. */
  readonly events: EventRing;
  /** Complete lines of a data thread, as bytes; `release` is called when they are needed no more. */
  writeAccess(lines: Uint8Array, count: number, release: () => void): void;
  droppedLines(): number;
  /** Opens the access-log file anew, if there is one: log rotation has moved it away. */
  reopen(): Promise<void>;
  setLevel(level: Settings['logLevel']): void;
  /** Writes what is queued and closes; gives up at the deadline. */
  close(deadlineMs: number): Promise<void>;
}

/** Descriptor 1 is standard output. */
const STANDARD_OUTPUT = 1;

/** @throws the system's error when the access-log file can't be opened. */
export function openLogs(settings: Settings, logFile?: string): Logs {
  const output = new LogWriter({ target: logFile ?? STANDARD_OUTPUT });
  // Not process.stdout.isTTY: that would open a second stream on the same descriptor.
  const isTerminal = logFile === undefined && isatty(STANDARD_OUTPUT);
  const hasColours = isTerminal && process.env['NO_COLOR'] === undefined;
  const events = new EventRing();
  const { logger: log, setLevel } = createLogger({
    level: settings.logLevel,
    writer: output,
    tell: (event, line) => events.record(event, line),
    ...(isTerminal && { pretty: { hasColours } }),
  });
  const target = settings.accessLog === false ? 'stdout' : settings.accessLog.target;
  const file = target === 'stdout' ? undefined : target.file;
  const access =
    file === undefined
      ? output
      : new LogWriter({
          target: file,
          onError: (error) =>
            log.error('access_log.failed', `the access log can't be written: ${error.message}`, {
              file,
            }),
        });
  const isPretty = isTerminal && access === output;

  return {
    log,
    events,
    setLevel,
    writeAccess(lines, count, release) {
      if (!isPretty) {
        access.write(lines, count, true, release);
        return;
      }
      access.write(prettyLines(lines, hasColours), count, true);
      release();
    },
    droppedLines: () => output.droppedLines + (access === output ? 0 : access.droppedLines),
    async reopen() {
      if (file === undefined) {
        log.info('access_log.no_file', 'a signal asks for a new access-log file: there is none');
        return;
      }
      const error = await access.reopen();
      if (error === null) {
        log.info('access_log.reopened', 'the access log is opened anew', { file });
        return;
      }
      const message = `the access log can't be opened anew, so its lines go on into the old file: ${error.message}`;
      log.error('access_log.not_reopened', message, { file });
    },
    async close(deadlineMs) {
      await Promise.all([
        output.close(deadlineMs),
        access === output ? undefined : access.close(deadlineMs),
      ]);
    },
  };
}

function prettyLines(lines: Uint8Array, hasColours: boolean): Uint8Array {
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString('latin1');
  const pretty = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => prettyAccessLine(line, hasColours));
  return Buffer.from(pretty.join(''));
}
