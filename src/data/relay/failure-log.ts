/**
 * What goes wrong, for the log: of each error that is a backend's doing or ours the first, and then once a minute the last, with
 * how many there were. All of them stand in the access log, and the last ones in `GET /requests`.
 */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { hintFor, whyNoRetry } from '../../snapshot/error-hints.ts';
import type { PostToControl } from '../../snapshot/messages.ts';
import type { AccessLogEntry } from './access-log-entry.ts';

const TELL_EVERY_MS = 60_000;

interface Told {
  atMs: number;
  /** Since then. */
  count: number;
}

export class FailureLog {
  readonly #post: PostToControl;
  readonly #told = new Map<ErrorCode, Told>();

  constructor(post: PostToControl) {
    this.#post = post;
  }

  /** @param nowMs coarse. */
  note(code: ErrorCode, entry: AccessLogEntry, nowMs: number): void {
    // A route that is down for maintenance is meant to say so.
    if (ERRORS[code].source === 'client' || code === 'ERR_MAINTENANCE') return;
    const told = this.#told.get(code);
    if (told !== undefined && nowMs - told.atMs < TELL_EVERY_MS) {
      told.count++;
      return;
    }
    this.#told.set(code, { atMs: nowMs, count: 0 });
    this.#tell(code, entry, (told?.count ?? 0) + 1);
  }

  #tell(code: ErrorCode, entry: AccessLogEntry, count: number): void {
    const { status, requestId, pool, backendUrl, attempts, durationMs, errorDetail } = entry;
    const failure = attempts.at(-1)?.failure ?? null;
    const hint = hintFor(code);
    const what = errorDetail === '' ? ERRORS[code].message : errorDetail;
    const fields = {
      code,
      status,
      request_id: requestId,
      pool,
      ...(backendUrl !== null && { backend: backendUrl }),
      attempts: attempts.length,
      duration_ms: Math.round(durationMs * 1000) / 1000,
      ...(failure !== null && { sent: failure.isSent, body_bytes: failure.bodyBytes }),
      ...(failure !== null &&
        failure.connectionAgeMs >= 0 && {
          connection_age_ms: Math.round(failure.connectionAgeMs * 1000) / 1000,
        }),
      ...(failure !== null &&
        failure.noRetry !== null && { no_retry: whyNoRetry(failure.noRetry) }),
      hint,
      count,
    };
    const log = {
      warn: (event: string, message: string): void =>
        this.#post({ kind: 'log', level: 'warn', event, message, fields }),
    };
    const where = backendUrl === null || what.includes(backendUrl) ? '' : ` at ${backendUrl}`;
    log.warn('request.failed', `a request has failed${where} with ${code}: ${what} (${hint})`);
  }
}
