/** A line of the access log in JSON. Fields that say nothing are left out: docs/operations.md, "Access log". */
import { ERRORS } from '../../errors.ts';
import { type AccessLogRules, bitOf } from '../../snapshot/access-log-rules.ts';
import { ownHintOf } from '../../snapshot/error-hints.ts';
import type { AttemptFailure } from '../../snapshot/kept-request.ts';
import { phaseOf } from '../../snapshot/phase.ts';
import type { AccessLogEntry, AttemptRecord, HeaderValue } from './access-log-entry.ts';
import { asciiBytes, type LineWriter } from './line-writer.ts';
import type { Redaction } from './redaction.ts';

/** Of a line: from its pool to its request id. */
interface Success {
  readonly pool: string;
  readonly isHttp2: boolean;
  readonly bytes: Uint8Array;
}

/** Backends whose part of a line is kept ready. */
const MAX_SUCCESSES = 1024;

const HAS_TIME = bitOf('time');
const HAS_CLIENT = bitOf('client');
const HAS_METHOD = bitOf('method');
const HAS_HOST = bitOf('host');
const HAS_PATH = bitOf('path');
const HAS_PROTOCOL = bitOf('protocol');
const HAS_STATUS = bitOf('status');
const HAS_GRPC_STATUS = bitOf('grpc_status');
const HAS_ENDED = bitOf('ended');
const HAS_BYTES_IN = bitOf('bytes_in');
const HAS_BYTES_OUT = bitOf('bytes_out');
const HAS_DURATION = bitOf('duration_ms');
const HAS_QUEUE = bitOf('queue_ms');
const HAS_CONNECT = bitOf('connect_ms');
const HAS_FIRST_BYTE = bitOf('first_byte_ms');
const HAS_ROUTE = bitOf('route');
const HAS_SPLIT = bitOf('split');
const HAS_POOL = bitOf('pool');
const HAS_BACKEND = bitOf('backend');
const HAS_BACKEND_PROTOCOL = bitOf('backend_protocol');
const HAS_ATTEMPTS = bitOf('attempts');
const HAS_REQUEST_ID = bitOf('request_id');
const HAS_ERROR = bitOf('error');
const HAS_ERROR_SOURCE = bitOf('error_source');
const HAS_ERROR_DETAIL = bitOf('error_detail');
const HAS_PHASE = bitOf('phase');
const HAS_HINT = bitOf('hint');

const TIME_END = asciiBytes('Z"');
const CLIENT = asciiBytes(',"client":"');
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
const REUSED = asciiBytes(',"reused":true');
const SENT = asciiBytes(',"sent":true');
const BODY_BYTES = asciiBytes(',"body_bytes":');
const AGE = asciiBytes(',"connection_age_ms":');
const NO_RETRY = asciiBytes(',"no_retry":"');
const ATTEMPT_END = asciiBytes('}');
const ATTEMPTS_END = asciiBytes(']');
const REQUEST_ID_TEXT = ',"request_id":"';
const REQUEST_ID = asciiBytes(REQUEST_ID_TEXT);
const TEXT_END = asciiBytes('"');
const ERROR = asciiBytes(',"error":"');
const ERROR_SOURCE = asciiBytes(',"error_source":"');
const ERROR_DETAIL = asciiBytes(',"error_detail":');
const PHASE = asciiBytes(',"phase":"');
const HINT = asciiBytes(',"hint":');
const HEADER = asciiBytes(',"header.');
const HEADER_END = asciiBytes('":');
const LINE_END = asciiBytes('}\n');

const EMPTY = asciiBytes('{');
const BRACE = 0x7b;

/** What nearly every request has is not said: a reader of the log takes a field that is missing for this value. */
const USUAL_PROTOCOL = 'HTTP/1.1';
const USUAL_POOL = 'default';

export class JsonLine {
  readonly #line: LineWriter;
  /** Those that are wanted: see `bitOf`. */
  #fields = 0;
  #redaction: Redaction;
  /** By the URL of the backend, as the fields in force have them. */
  readonly #successes = new Map<string, Success>();
  #second = -1;
  /** `,"time":"2026-01-02T03:04:05.`, made once a second. */
  #timeStart: Uint8Array = asciiBytes('');

  constructor(line: LineWriter, redaction: Redaction) {
    this.#line = line;
    this.#redaction = redaction;
  }

  adopt({ fields }: AccessLogRules, redaction: Redaction): void {
    this.#redaction = redaction;
    if (fields === this.#fields) return;
    this.#fields = fields;
    this.#successes.clear();
  }

  /** @param path without its secrets */
  write(entry: AccessLogEntry, path: string | null): void {
    const line = this.#line;
    const fields = this.#fields;
    const start = line.position;
    if ((fields & HAS_TIME) !== 0) this.#writeTime();
    if ((fields & HAS_CLIENT) !== 0) {
      line.constant(CLIENT);
      line.plain(entry.clientAddress);
      line.constant(TEXT_END);
    }
    if ((fields & HAS_METHOD) !== 0) this.#writeText(METHOD, entry.method);
    if ((fields & HAS_HOST) !== 0) this.#writeText(HOST, entry.host);
    if ((fields & HAS_PATH) !== 0) this.#writeText(PATH, path);
    if ((fields & HAS_PROTOCOL) !== 0 && entry.protocol !== USUAL_PROTOCOL) {
      this.#writeText(PROTOCOL, entry.protocol);
    }
    if ((fields & HAS_STATUS) !== 0) this.#writeWhole(STATUS, entry.status);
    if ((fields & HAS_GRPC_STATUS) !== 0 && entry.grpcStatus >= 0) {
      this.#writeWhole(GRPC_STATUS, entry.grpcStatus);
    }
    if ((fields & HAS_ENDED) !== 0 && entry.ended !== null) {
      line.constant(ENDED);
      line.plain(entry.ended);
      line.constant(TEXT_END);
    }
    if ((fields & HAS_BYTES_IN) !== 0) this.#writeWhole(BYTES_IN, entry.bytesIn);
    if ((fields & HAS_BYTES_OUT) !== 0) this.#writeWhole(BYTES_OUT, entry.bytesOut);
    if ((fields & HAS_DURATION) !== 0) this.#writeTimeOf(DURATION, entry.durationMs);
    if ((fields & HAS_QUEUE) !== 0) this.#writeTimeOf(QUEUE, entry.queueMs);
    if ((fields & HAS_CONNECT) !== 0) this.#writeTimeOf(CONNECT, entry.connectMs);
    if ((fields & HAS_FIRST_BYTE) !== 0) this.#writeTimeOf(FIRST_BYTE, entry.firstByteMs);
    if ((fields & HAS_ROUTE) !== 0) this.#writeText(ROUTE, entry.route);
    if ((fields & HAS_SPLIT) !== 0) this.#writeText(SPLIT, entry.split);
    this.#writeBackend(entry);
    if (entry.error !== null) this.#writeError(entry);
    for (let index = 0; index < entry.headers.length; index++) this.#writeHeader(entry, index);
    // Whatever came first has begun with a comma.
    if (line.position === start) line.constant(EMPTY);
    line.put(start, BRACE);
    line.constant(LINE_END);
  }

  /** RFC 3339 with milliseconds. */
  #writeTime(): void {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#timeStart = asciiBytes(
        `,"time":"${new Date(second * 1000).toISOString().slice(0, 19)}.`,
      );
    }
    this.#line.constant(this.#timeStart);
    this.#line.threeDigits(now - second * 1000);
    this.#line.constant(TIME_END);
  }

  #writeText(key: Uint8Array, text: string | null): void {
    if (text === null) return;
    this.#line.constant(key);
    this.#line.quoted(text);
  }

  #writeWhole(key: Uint8Array, value: number): void {
    this.#line.constant(key);
    this.#line.integer(value);
  }

  /** @param ms negative: the phase was not reached. */
  #writeTimeOf(key: Uint8Array, ms: number): void {
    if (ms < 0) return;
    this.#line.constant(key);
    this.#line.milliseconds(ms);
  }

  /** From the pool to the request id. */
  #writeBackend({ pool, backendUrl, attempts, requestId }: AccessLogEntry): void {
    const line = this.#line;
    const fields = this.#fields;
    const first = attempts[0];
    if (attempts.length === 1 && first?.outcome === 'ok') {
      line.longConstant(this.#successAt(first, pool));
    } else {
      if ((fields & HAS_POOL) !== 0 && pool !== USUAL_POOL) {
        line.constant(POOL);
        line.plain(pool);
        line.constant(TEXT_END);
      }
      if ((fields & HAS_BACKEND) !== 0) this.#writeText(BACKEND, backendUrl);
      if ((fields & HAS_BACKEND_PROTOCOL) !== 0 && attempts.at(-1)?.isHttp2 === true) {
        line.constant(BACKEND_HTTP2);
      }
      if ((fields & HAS_ATTEMPTS) !== 0 && attempts.length > 0) this.#writeAttempts(attempts);
      if ((fields & HAS_REQUEST_ID) !== 0) line.constant(REQUEST_ID);
    }
    if ((fields & HAS_REQUEST_ID) === 0) return;
    line.plain(requestId);
    line.constant(TEXT_END);
  }

  #writeAttempts(attempts: readonly AttemptRecord[]): void {
    const line = this.#line;
    line.constant(ATTEMPTS);
    for (let index = 0; index < attempts.length; index++) {
      const attempt = attempts[index] as AttemptRecord;
      const { backendUrl, outcome, status, isReused, durationMs, failure } = attempt;
      line.constant(index === 0 ? ATTEMPT : NEXT_ATTEMPT);
      line.plain(backendUrl);
      line.constant(OUTCOME);
      line.plain(outcome);
      line.constant(TEXT_END);
      if (status !== 0) this.#writeWhole(STATUS, status);
      if (isReused) line.constant(REUSED);
      this.#writeTimeOf(DURATION, durationMs);
      if (failure !== null) this.#writeFailure(failure);
      line.constant(ATTEMPT_END);
    }
    line.constant(ATTEMPTS_END);
  }

  #writeFailure({ isSent, bodyBytes, connectionAgeMs, noRetry }: AttemptFailure): void {
    const line = this.#line;
    if (isSent) line.constant(SENT);
    if (bodyBytes > 0) this.#writeWhole(BODY_BYTES, bodyBytes);
    this.#writeTimeOf(AGE, connectionAgeMs);
    if (noRetry === null) return;
    line.constant(NO_RETRY);
    line.plain(noRetry);
    line.constant(TEXT_END);
  }

  /** The same for every request that a backend answers at the first attempt, so it is made once. */
  #successAt({ backendUrl: url, isHttp2 }: AttemptRecord, pool: string): Uint8Array {
    const known = this.#successes.get(url);
    if (known?.pool === pool && known.isHttp2 === isHttp2) return known.bytes;
    if (this.#successes.size >= MAX_SUCCESSES) this.#successes.clear();
    const has = (bit: number): boolean => (this.#fields & bit) !== 0;
    const poolField = has(HAS_POOL) && pool !== USUAL_POOL ? `,"pool":"${pool}"` : '';
    const backendField = has(HAS_BACKEND) ? `,"backend":"${url}"` : '';
    const protocolField = has(HAS_BACKEND_PROTOCOL) && isHttp2 ? BACKEND_HTTP2_TEXT : '';
    const idField = has(HAS_REQUEST_ID) ? REQUEST_ID_TEXT : '';
    const bytes = asciiBytes(`${poolField}${backendField}${protocolField}${idField}`);
    this.#successes.set(url, { pool, isHttp2, bytes });
    return bytes;
  }

  #writeError(entry: AccessLogEntry): void {
    const { error, errorDetail } = entry;
    if (error === null) return;
    const line = this.#line;
    const fields = this.#fields;
    if ((fields & HAS_ERROR) !== 0) {
      line.constant(ERROR);
      line.plain(error);
      line.constant(TEXT_END);
    }
    if ((fields & HAS_ERROR_SOURCE) !== 0) {
      line.constant(ERROR_SOURCE);
      line.plain(ERRORS[error].source);
      line.constant(TEXT_END);
    }
    if ((fields & HAS_ERROR_DETAIL) !== 0) this.#writeText(ERROR_DETAIL, errorDetail);
    if ((fields & HAS_PHASE) !== 0) {
      line.constant(PHASE);
      line.plain(phaseOf(entry));
      line.constant(TEXT_END);
    }
    const hint = (fields & HAS_HINT) === 0 ? undefined : ownHintOf(error);
    if (hint !== undefined) this.#writeText(HINT, hint);
  }

  #writeHeader({ headers }: AccessLogEntry, index: number): void {
    const line = this.#line;
    const { name, value } = headers[index] as HeaderValue;
    line.constant(HEADER);
    line.plain(name);
    line.constant(HEADER_END);
    // A referrer is a URL.
    line.quoted(this.#redaction.of(value));
  }
}
