/** Opens the outputs that settings name: the program's log on standard output, the access log there, in a file, or to a syslog server. */
import { hostname } from 'node:os';
import { isatty } from 'node:tty';
import { isDeepStrictEqual } from 'node:util';
import type { AccessLogSettings, Settings, SyslogTarget } from '../config/settings.ts';
import { LogWriter } from '../observe/log-writer.ts';
import { createLogger, type Logger } from '../observe/logger.ts';
import { prettyAccessLine } from '../observe/pretty-line.ts';
import { SyslogWriter } from '../observe/syslog-writer.ts';
import { type EventListener, EventRing } from './events/event-ring.ts';

export interface Logs {
  readonly log: Logger;
  /** The last lines of it, for whoever follows what happens. */
  readonly events: EventRing;
  /** Complete lines of a data thread, as bytes; `release` is called when they are needed no more. */
  writeAccess(lines: Uint8Array, count: number, release: () => void): void;
  droppedLines(): number;
  /** Opens the access-log file anew, if there is one: log rotation has moved it away. */
  reopen(): Promise<void>;
  /**
   * Opens what these settings name, if it is not open; what comes back takes it into use.
   * @throws the system's error when the file can't be opened. Then nothing has changed.
   */
  prepare(settings: Settings): AccessSwap;
  setLevel(level: Settings['logLevel']): void;
  /** Writes what is queued and closes; gives up at the deadline. */
  close(deadlineMs: number): Promise<void>;
}

export interface AccessSwap {
  take(): void;
  cancel(): void;
}

/** Where lines of the access log go. */
interface AccessSink {
  readonly droppedLines: number;
  write(lines: Uint8Array, count: number, release: () => void): void;
  /** Undefined: it is no file. */
  readonly file?: string;
  reopen(): Promise<Error | null>;
  close(deadlineMs: number): Promise<void>;
}

type Target = AccessLogSettings['target'];

/** For what an output that is left has still to write. */
const LEFT_MS = 5_000;

/** Descriptor 1 is standard output. */
const STANDARD_OUTPUT = 1;

export interface LogsOptions {
  /** Where the program's log goes instead of to standard output; null: nowhere. */
  readonly logFile?: string | null | undefined;
  /** Told of the events from the first one on. */
  readonly hear?: EventListener | undefined;
}

/** @throws the system's error when the access-log file can't be opened. */
export function openLogs(settings: Settings, { logFile, hear }: LogsOptions = {}): Logs {
  const output = new LogWriter({ target: logFile ?? STANDARD_OUTPUT });
  // Not process.stdout.isTTY: that would open a second stream on the same descriptor.
  const isTerminal = logFile === undefined && isatty(STANDARD_OUTPUT);
  const hasColours = isTerminal && process.env['NO_COLOR'] === undefined;
  const events = new EventRing();
  if (hear !== undefined) events.listen(hear);
  const { logger: log, setLevel } = createLogger({
    level: settings.logLevel,
    writer: logFile === null ? null : output,
    tell: (event, line) => events.record(event, line),
    ...(isTerminal && { pretty: { hasColours } }),
  });
  const standardOutput: AccessSink = {
    // They are counted with those of the program's own log.
    droppedLines: 0,
    write(lines, count, release) {
      if (!isTerminal) {
        output.write(lines, count, true, release);
        return;
      }
      output.write(prettyLines(lines, hasColours), count, true);
      release();
    },
    reopen: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
  const open = (to: Target): AccessSink => {
    if (to === 'stdout') return standardOutput;
    return 'file' in to ? fileSink(to.file, log) : syslogSink(to, log);
  };
  let target = targetOf(settings) ?? 'stdout';
  let access = open(target);
  /** Those that still write what they have. */
  const left = new Set<AccessSink>();
  /** By those that are closed. */
  let lost = 0;
  const leave = async (sink: AccessSink): Promise<void> => {
    left.add(sink);
    await sink.close(LEFT_MS);
    left.delete(sink);
    lost += sink.droppedLines;
  };

  return {
    log,
    events,
    setLevel,
    writeAccess: (lines, count, release) => access.write(lines, count, release),
    droppedLines: () =>
      [access, ...left].reduce(
        (sum, { droppedLines }) => sum + droppedLines,
        output.droppedLines + lost,
      ),
    async reopen() {
      const { file } = access;
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
    prepare(wanted) {
      const next = targetOf(wanted);
      // Where it is off, the last lines of what is under way go where they went.
      if (next === undefined || isDeepStrictEqual(next, target)) {
        return { take() {}, cancel() {} };
      }
      const sink = open(next);
      return {
        take() {
          const old = access;
          access = sink;
          target = next;
          if (old !== standardOutput) void leave(old);
        },
        cancel: () => void sink.close(0),
      };
    },
    async close(deadlineMs) {
      await Promise.all([output.close(deadlineMs), access.close(deadlineMs)]);
    },
  };
}

function targetOf({ accessLog }: Settings): Target | undefined {
  return accessLog === false ? undefined : accessLog.target;
}

function fileSink(file: string, log: Logger): AccessSink {
  const writer = new LogWriter({ target: file, onError: (error) => tellFailed(log, file, error) });
  return {
    file,
    get droppedLines() {
      return writer.droppedLines;
    },
    write: (lines, count, release) => writer.write(lines, count, true, release),
    reopen: () => writer.reopen(),
    close: (deadlineMs) => writer.close(deadlineMs),
  };
}

function syslogSink({ server, facility, appName }: SyslogTarget, log: Logger): AccessSink {
  const name = server.kind === 'udp' ? `udp://${server.host}:${server.port}` : server.path;
  const writer = new SyslogWriter({
    server,
    facility,
    appName,
    hostName: hostname(),
    onError: (error) => tellFailed(log, name, error),
  });
  return {
    get droppedLines() {
      return writer.droppedLines;
    },
    write(lines, count, release) {
      writer.write(lines, count);
      release();
    },
    reopen: () => Promise.resolve(null),
    close: (deadlineMs) => writer.close(deadlineMs),
  };
}

function tellFailed(log: Logger, file: string, error: Error): void {
  log.error('access_log.failed', `the access log can't be written: ${error.message}`, { file });
}

function prettyLines(lines: Uint8Array, hasColours: boolean): Uint8Array {
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString('latin1');
  const pretty = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => prettyAccessLine(line, hasColours));
  return Buffer.from(pretty.join(''));
}
