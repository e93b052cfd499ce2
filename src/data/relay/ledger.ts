/** Where every request is counted and logged when it ends, whether or not a backend took part in it. */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import type { Backend } from '../backend/backend.ts';
import type { DataContext } from '../context.ts';
import type { View } from '../view.ts';
import type { AccessLogEntry, AttemptRecord } from './access-log.ts';
import type { IncomingRequest } from './incoming-request.ts';

export interface ExchangeOutcome {
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Negative: the phase was not reached. */
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly attempts: readonly AttemptRecord[];
  readonly error: ErrorCode | null;
  readonly errorDetail: string;
}

/** @param backend of the last attempt; null when there was none. */
export function recordExchange(
  context: DataContext,
  view: View,
  backend: Backend | null,
  request: IncomingRequest,
  outcome: ExchangeOutcome,
): void {
  const { facts } = request;
  record(context, view, backend, {
    clientAddress: request.clientAddress,
    method: facts.method,
    host: facts.host,
    path: facts.path,
    protocol: facts.versionMinor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
    status: outcome.status,
    bytesIn: outcome.bytesIn,
    bytesOut: outcome.bytesOut,
    durationMs: outcome.durationMs,
    queueMs: outcome.queueMs,
    connectMs: outcome.connectMs,
    firstByteMs: outcome.firstByteMs,
    pool: view.snapshot.pool.name,
    backendUrl: backend === null ? null : backend.spec.url,
    attempts: outcome.attempts,
    requestId: request.requestId,
    error: outcome.error,
    errorDetail: outcome.errorDetail,
    userAgent: request.userAgent,
    referer: request.referer,
  });
}

/** What is known of a request that never became an exchange. */
export interface Refused {
  readonly clientAddress: string;
  readonly requestId: string;
  readonly method: string | null;
  readonly path: string | null;
  readonly protocol: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export function recordRefusal(
  context: DataContext,
  code: ErrorCode,
  detail: string,
  refused: Refused,
): void {
  record(context, context.view, null, {
    ...refused,
    host: null,
    status: ERRORS[code].status,
    durationMs: 0,
    queueMs: -1,
    connectMs: -1,
    firstByteMs: -1,
    pool: context.view.snapshot.pool.name,
    backendUrl: null,
    attempts: [],
    error: code,
    errorDetail: detail === '' ? ERRORS[code].message : detail,
    userAgent: null,
    referer: null,
  });
}

function record(
  context: DataContext,
  view: View,
  backend: Backend | null,
  entry: AccessLogEntry,
): void {
  const { status, error } = entry;
  if (backend === null) {
    context.counters.answeredAlone(status);
  } else {
    const seconds = entry.durationMs / 1000;
    backend.counters.requestCompleted(status, seconds, entry.bytesIn, entry.bytesOut);
  }
  if (error !== null) context.countError(error);
  const { accessLog } = view.snapshot;
  if (accessLog.isEnabled) context.accessLog.record(entry, accessLog.format);
}
