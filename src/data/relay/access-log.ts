/**
 * The access log: one line per exchange, gathered in shared memory and handed to the control plane in batches. The data thread
 * never writes to a disk or a pipe.
 *
 * Lines are ASCII: everything else is escaped, so a client can't forge a line or break a terminal.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { Ending } from '../../snapshot/endings.ts';
import { LOG_BLOCK_BYTES, LogRing } from '../../snapshot/log-ring.ts';
import type { PostToControl } from '../../snapshot/messages.ts';
import type { ProcessCounters } from '../../snapshot/process-counters.ts';
import type { Chosen } from './chosen.ts';
import { asciiBytes, LineWriter, mostBytes } from './line-writer.ts';

export interface AttemptRecord {
  readonly backendUrl: string;
  /** What its backend was spoken to in; else HTTP/1.1. */
  readonly isHttp2: boolean;
  readonly chosen: Chosen;
  /** `ok`, the error code of the failure, or `called_off`: it was not waited for. */
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
  /** What the client got; `NOTHING_SENT` where that was nothing. */
  readonly status: number;
  /** What a call of gRPC ended with; negative: it was none. */
  readonly grpcStatus: number;
  /** Null: it got all of it. */
  readonly ended: Ending | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Negative: the phase was not reached. */
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Null where there are none, and where none was for it. */
  readonly route: string | null;
  /** The name of its part, where its route is split; else null. */
  readonly split: string | null;
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

/** Of a line: from its pool to its request id. */
interface Success {
  readonly pool: string;
  readonly isHttp2: boolean;
  readonly bytes: Uint8Array;
}

/** Stands for the status of an answer that never came: nginx has it so. */
export const NOTHING_SENT = 499;

export type AccessLogFormat = 'json' | 'combined';

/** Everything of a line but its texts. */
const FIXED_BYTES = 1024;
const PER_ATTEMPT_BYTES = 128;
/** Backends whose part of a line is kept ready. */
const MAX_SUCCESSES = 1024;

const CLIENT = asciiBytes('Z","client":"');
const METHOD = asciiBytes(',"method":');
const HOST = asciiBytes(',"host":');
const PATH = asciiBytes(',"path":');
const PROTOCOL = asciiBytes(',"protocol":');
const STATUS = asciiBytes(',"status":');
const GRPC_STATUS = asciiBytes(',"grpc_status":');
const ENDED = asciiBytes(',"ended":"');
const BYTES_IN = asciiBytes(',"bytes_in":');
const BYTES_OUT = asciiBytes(',"bytes_out":');
const DURATION = asciiBytes(',"duration_ms":');
const QUEUE = asciiBytes(',"queue_ms":');
const CONNECT = asciiBytes(',"connect_ms":');
const FIRST_BYTE = asciiBytes(',"first_byte_ms":');
const ROUTE = asciiBytes(',"route":');
const SPLIT = asciiBytes(',"split":');
const POOL = asciiBytes(',"pool":"');
const BACKEND = asciiBytes(',"backend":');
const BACKEND_HTTP2_TEXT = ',"backend_protocol":"HTTP/2.0"';
const BACKEND_HTTP2 = asciiBytes(BACKEND_HTTP2_TEXT);
const ATTEMPTS = asciiBytes(',"attempts":[');
const ATTEMPT = asciiBytes('{"backend":"');
const NEXT_ATTEMPT = asciiBytes(',{"backend":"');
const OUTCOME = asciiBytes('","outcome":"');
const ATTEMPT_DURATION = asciiBytes('","duration_ms":');
const ATTEMPT_END = asciiBytes('}');
const ATTEMPTS_END = asciiBytes(']');
const REQUEST_ID = asciiBytes(',"request_id":"');
const TEXT_END = asciiBytes('"');
const ERROR = asciiBytes(',"error":"');
const ERROR_SOURCE = asciiBytes('","error_source":"');
const ERROR_DETAIL = asciiBytes('","error_detail":');
const LINE_END = asciiBytes('}\n');

/** What nearly every request has is not said: a reader of the log takes a field that is missing for this value. */
const USUAL_PROTOCOL = 'HTTP/1.1';
const USUAL_POOL = 'default';

export class AccessLog {
  readonly #ring: LogRing;
  readonly #post: PostToControl;
  readonly #counters: ProcessCounters;
  /** The block that is being filled; −1 when there was none to have. */
  #block = -1;
  #bytes: Buffer | null = null;
  #length = 0;
  #count = 0;
  readonly #line = new LineWriter();
  readonly #successes = new Map<string, Success>();
  #second = -1;
  /** `{"time":"2026-01-02T03:04:05.`, made once a second. */
  #timeStart: Uint8Array = asciiBytes('');

  constructor(ring: SharedArrayBuffer, post: PostToControl, counters: ProcessCounters) {
    this.#ring = new LogRing(ring);
    this.#post = post;
    this.#counters = counters;
  }

  record(entry: AccessLogEntry, format: AccessLogFormat): void {
    if (this.#length + mostLineBytes(entry) > LOG_BLOCK_BYTES) this.flush();
    const bytes = this.#bytes ?? this.#takeBlock();
    if (bytes === null) {
      this.#counters.logLinesDropped(1);
      return;
    }
    this.#line.begin(bytes, this.#length);
    if (format === 'json') this.#writeJson(entry);
    else this.#writeCombined(entry);
    if (this.#line.position > LOG_BLOCK_BYTES) {
      // No text is that long, and what was written past the end went nowhere.
      this.#counters.logLinesDropped(1);
      return;
    }
    this.#length = this.#line.position;
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

  /** RFC 3339 with milliseconds. */
  #writeTime(): void {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#timeStart = asciiBytes(
        `{"time":"${new Date(second * 1000).toISOString().slice(0, 19)}.`,
      );
    }
    this.#line.constant(this.#timeStart);
    this.#line.threeDigits(now - second * 1000);
  }

  /** Fields that say nothing are left out: docs/operations.md, "Access log". */
  #writeJson(entry: AccessLogEntry): void {
    const line = this.#line;
    this.#writeTime();
    line.constant(CLIENT);
    line.plain(entry.clientAddress);
    line.constant(TEXT_END);
    this.#writeText(METHOD, entry.method);
    this.#writeText(HOST, entry.host);
    this.#writeText(PATH, entry.path);
    if (entry.protocol !== USUAL_PROTOCOL) this.#writeText(PROTOCOL, entry.protocol);
    line.constant(STATUS);
    line.integer(entry.status);
    if (entry.grpcStatus >= 0) {
      line.constant(GRPC_STATUS);
      line.integer(entry.grpcStatus);
    }
    if (entry.ended !== null) {
      line.constant(ENDED);
      line.plain(entry.ended);
      line.constant(TEXT_END);
    }
    line.constant(BYTES_IN);
    line.integer(entry.bytesIn);
    line.constant(BYTES_OUT);
    line.integer(entry.bytesOut);
    line.constant(DURATION);
    line.milliseconds(entry.durationMs);
    this.#writeTimeOf(QUEUE, entry.queueMs);
    this.#writeTimeOf(CONNECT, entry.connectMs);
    this.#writeTimeOf(FIRST_BYTE, entry.firstByteMs);
    this.#writeText(ROUTE, entry.route);
    this.#writeText(SPLIT, entry.split);
    this.#writeBackend(entry);
    line.plain(entry.requestId);
    line.constant(TEXT_END);
    if (entry.error !== null) {
      line.constant(ERROR);
      line.plain(entry.error);
      line.constant(ERROR_SOURCE);
      line.plain(ERRORS[entry.error].source);
      line.constant(ERROR_DETAIL);
      line.quoted(entry.errorDetail);
    }
    line.constant(LINE_END);
  }

  #writeText(key: Uint8Array, text: string | null): void {
    if (text === null) return;
    this.#line.constant(key);
    this.#line.quoted(text);
  }

  /** @param ms negative: the phase was not reached. */
  #writeTimeOf(key: Uint8Array, ms: number): void {
    if (ms < 0) return;
    this.#line.constant(key);
    this.#line.milliseconds(ms);
  }

  /** From the pool to the request id. */
  #writeBackend({ pool, backendUrl, attempts }: AccessLogEntry): void {
    const line = this.#line;
    const first = attempts[0];
    if (attempts.length === 1 && first?.outcome === 'ok') {
      line.longConstant(this.#successAt(first, pool));
      return;
    }
    if (pool !== USUAL_POOL) {
      line.constant(POOL);
      line.plain(pool);
      line.constant(TEXT_END);
    }
    this.#writeText(BACKEND, backendUrl);
    if (attempts.at(-1)?.isHttp2 === true) line.constant(BACKEND_HTTP2);
    if (attempts.length > 0) this.#writeAttempts(attempts);
    line.constant(REQUEST_ID);
  }

  #writeAttempts(attempts: readonly AttemptRecord[]): void {
    const line = this.#line;
    line.constant(ATTEMPTS);
    for (let index = 0; index < attempts.length; index++) {
      const { backendUrl, outcome, durationMs } = attempts[index] as AttemptRecord;
      line.constant(index === 0 ? ATTEMPT : NEXT_ATTEMPT);
      line.plain(backendUrl);
      line.constant(OUTCOME);
      line.plain(outcome);
      line.constant(ATTEMPT_DURATION);
      line.milliseconds(durationMs);
      line.constant(ATTEMPT_END);
    }
    line.constant(ATTEMPTS_END);
  }

  /** The same for every request that a backend answers at the first attempt, so it is made once. */
  #successAt({ backendUrl: url, isHttp2 }: AttemptRecord, pool: string): Uint8Array {
    const known = this.#successes.get(url);
    if (known?.pool === pool && known.isHttp2 === isHttp2) return known.bytes;
    if (this.#successes.size >= MAX_SUCCESSES) this.#successes.clear();
    const poolField = pool === USUAL_POOL ? '' : `,"pool":"${pool}"`;
    const protocolField = isHttp2 ? BACKEND_HTTP2_TEXT : '';
    const bytes = asciiBytes(`${poolField},"backend":"${url}"${protocolField},"request_id":"`);
    this.#successes.set(url, { pool, isHttp2, bytes });
    return bytes;
  }

  /** Apache's "combined" format. */
  #writeCombined(entry: AccessLogEntry): void {
    const line = this.#line;
    const request =
      entry.method === null ? '-' : `${entry.method} ${entry.path ?? '-'} ${entry.protocol}`;
    line.plain(`${entry.clientAddress} - - [${apacheTime(new Date())}] `);
    line.quoted(request);
    line.plain(` ${entry.status} ${entry.bytesOut} `);
    line.quoted(entry.referer ?? '-');
    line.plain(' ');
    line.quoted(entry.userAgent ?? '-');
    line.plain('\n');
  }
}

/** An upper bound: what a line needs if every character of it has to be escaped. */
function mostLineBytes(entry: AccessLogEntry): number {
  let bytes =
    FIXED_BYTES +
    entry.clientAddress.length +
    entry.requestId.length +
    entry.pool.length +
    mostBytes(entry.method) +
    mostBytes(entry.host) +
    mostBytes(entry.path) +
    mostBytes(entry.route) +
    mostBytes(entry.split) +
    mostBytes(entry.errorDetail) +
    mostBytes(entry.userAgent) +
    mostBytes(entry.referer) +
    mostBytes(entry.backendUrl);
  for (let index = 0; index < entry.attempts.length; index++) {
    bytes += PER_ATTEMPT_BYTES + (entry.attempts[index] as AttemptRecord).backendUrl.length;
  }
  return bytes;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function apacheTime(date: Date): string {
  return `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
