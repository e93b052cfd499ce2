/**
 * The access log: one line per exchange, gathered in shared memory and handed to the control plane in batches. The data thread
 * never writes to a disk or a pipe.
 *
 * Lines are ASCII: everything else is escaped, so a client can't forge a line or break a terminal.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { ProcessCounters } from '../../snapshot/counters.ts';
import { LOG_BLOCK_BYTES, LogRing } from '../../snapshot/log-ring.ts';
import type { PostToControl } from '../../snapshot/messages.ts';

export interface AttemptRecord {
  readonly backendUrl: string;
  /** `ok`, or the error code of the failure. */
  readonly outcome: string;
  readonly durationMs: number;
}

export interface AccessLogEntry {
  readonly clientAddress: string;
  /** Null where the head could not be read. */
  readonly method: string | null;
  readonly host: string | null;
  readonly path: string | null;
  readonly protocol: string | null;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Negative: the phase was not reached. */
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly pool: string;
  /** The URL of the backend of the last attempt. */
  readonly backendUrl: string | null;
  readonly attempts: readonly AttemptRecord[];
  readonly requestId: string;
  readonly error: ErrorCode | null;
  readonly errorDetail: string;
  readonly userAgent: string | null;
  readonly referer: string | null;
}

export type AccessLogFormat = 'json' | 'combined';

/** Of one field. Escaped at worst six times over, all fields of a line still fit into a block. */
const MAX_TEXT = 4096;

export class AccessLog {
  readonly #ring: LogRing;
  readonly #post: PostToControl;
  readonly #counters: ProcessCounters;
  /** The block that is being filled; −1 when there was none to have. */
  #block = -1;
  #bytes: Buffer | null = null;
  #length = 0;
  #count = 0;
  #second = -1;
  #secondText = '';

  constructor(ring: SharedArrayBuffer, post: PostToControl, counters: ProcessCounters) {
    this.#ring = new LogRing(ring);
    this.#post = post;
    this.#counters = counters;
  }

  record(entry: AccessLogEntry, format: AccessLogFormat): void {
    const line = format === 'json' ? this.#jsonLine(entry) : this.#combinedLine(entry);
    if (this.#length + line.length > LOG_BLOCK_BYTES) this.flush();
    const bytes = this.#bytes ?? this.#takeBlock();
    if (bytes === null) {
      this.#counters.logLinesDropped(1);
      return;
    }
    this.#length += bytes.latin1Write(line, this.#length);
    this.#count++;
  }

  /** Hands over what has gathered; called by the thread's tick and when the block is full. */
  flush(): void {
    if (this.#count === 0) return;
    const message = {
      kind: 'access-log',
      block: this.#block,
      length: this.#length,
      count: this.#count,
    } as const;
    this.#bytes = null;
    this.#length = 0;
    this.#count = 0;
    this.#post(message);
  }

  #takeBlock(): Buffer | null {
    this.#block = this.#ring.take();
    this.#bytes = this.#block === -1 ? null : this.#ring.bytes(this.#block, LOG_BLOCK_BYTES);
    return this.#bytes;
  }

  /** RFC 3339 with milliseconds; the part up to the second is made once a second. */
  #time(): string {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(second * 1000).toISOString().slice(0, 19);
    }
    const milliseconds = now - second * 1000;
    const pad = milliseconds < 10 ? '00' : milliseconds < 100 ? '0' : '';
    return `${this.#secondText}.${pad}${milliseconds}Z`;
  }

  #jsonLine(entry: AccessLogEntry): string {
    let line = `{"time":"${this.#time()}","client":"${entry.clientAddress}","method":${quoted(entry.method)},"host":${quoted(entry.host)},"path":${quoted(entry.path)},"protocol":${quoted(entry.protocol)},"status":${entry.status},"bytes_in":${entry.bytesIn},"bytes_out":${entry.bytesOut},"duration_ms":${fixed(entry.durationMs)}`;
    if (entry.connectMs >= 0) line += `,"connect_ms":${fixed(entry.connectMs)}`;
    if (entry.firstByteMs >= 0) line += `,"first_byte_ms":${fixed(entry.firstByteMs)}`;
    line += `,"pool":"${entry.pool}","backend":${entry.backendUrl === null ? 'null' : `"${entry.backendUrl}"`},"attempts":${attemptsText(entry.attempts)},"request_id":"${entry.requestId}"`;
    if (entry.error !== null) {
      line += `,"error":"${entry.error}","error_source":"${ERRORS[entry.error].source}","error_detail":${quoted(entry.errorDetail)}`;
    }
    return `${line}}\n`;
  }

  /** Apache's "combined" format. */
  #combinedLine(entry: AccessLogEntry): string {
    const request =
      entry.method === null ? '-' : `${entry.method} ${entry.path ?? '-'} ${entry.protocol}`;
    return `${entry.clientAddress} - - [${apacheTime(new Date())}] ${quoted(request)} ${entry.status} ${entry.bytesOut} ${quoted(entry.referer ?? '-')} ${quoted(entry.userAgent ?? '-')}\n`;
  }
}

/** Milliseconds to the microsecond, as `12.034`: put together from integers, which are much cheaper to print than floats. */
function fixed(ms: number): string {
  const microseconds = Math.round(ms * 1000);
  const whole = Math.floor(microseconds / 1000);
  const rest = microseconds - whole * 1000;
  const pad = rest < 10 ? '.00' : rest < 100 ? '.0' : '.';
  return `${whole}${pad}${rest}`;
}

function attemptsText(attempts: readonly AttemptRecord[]): string {
  let text = '';
  for (let index = 0; index < attempts.length; index++) {
    const { backendUrl, outcome, durationMs } = attempts[index] as AttemptRecord;
    text += `${index === 0 ? '[' : ','}{"backend":"${backendUrl}","outcome":"${outcome}","duration_ms":${fixed(durationMs)}}`;
  }
  return text === '' ? '[]' : `${text}]`;
}

const NEEDS_ESCAPE = /[^ !#-[\]-~]/;

/** JSON text in ASCII. Most texts need no escape, and finding that out is cheaper than JSON.stringify. */
function quoted(text: string | null): string {
  if (text === null) return 'null';
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return NEEDS_ESCAPE.test(shown) ? escaped(shown) : `"${shown}"`;
}

function escaped(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function apacheTime(date: Date): string {
  return `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
