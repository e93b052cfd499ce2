/** A request that is over, as the admin API shows it. The field names are an interface: see docs. */
import { ERRORS } from '../errors.ts';
import { hintFor, whyNoRetry } from '../snapshot/error-hints.ts';
import type { KeptAttempt, KeptRequest } from '../snapshot/kept-request.ts';
import { phaseOf } from '../snapshot/phase.ts';

export function viewRequest(request: KeptRequest): object {
  const { error, attempts } = request;
  const noRetry = attempts.at(-1)?.failure?.noRetry ?? null;
  return {
    ...summaryOf(request),
    protocol: request.protocol,
    route: request.route,
    part: request.part,
    bytes_in: request.bytesIn,
    bytes_out: request.bytesOut,
    queue_ms: msOrNull(request.queueMs),
    connect_ms: msOrNull(request.connectMs),
    first_byte_ms: msOrNull(request.firstByteMs),
    error_source: error === null ? null : ERRORS[error].source,
    error_detail: request.errorDetail === '' ? null : request.errorDetail,
    attempts: attempts.map(viewAttempt),
    no_retry: noRetry === null ? null : whyNoRetry(noRetry),
    hint: error === null ? null : hintFor(error),
    thread: request.thread,
  };
}

export function summaryOf(request: KeptRequest): object {
  const { error, attempts } = request;
  return {
    id: request.requestId,
    time: new Date(request.atMs).toISOString(),
    client: request.clientAddress,
    method: request.method,
    host: request.host,
    path: request.path,
    status: request.status,
    ended: request.ended,
    error,
    phase: phaseOf(request),
    duration_ms: rounded(request.durationMs),
    pool: request.pool,
    backend: attempts.at(-1)?.backendUrl ?? null,
  };
}

function viewAttempt(attempt: KeptAttempt): object {
  const { backendUrl, isHttp2, isReused, chosen, status, outcome, durationMs, failure } = attempt;
  return {
    backend: backendUrl,
    protocol: isHttp2 ? 'HTTP/2.0' : 'HTTP/1.1',
    reused: isReused,
    chosen_by: chosen,
    status: status === 0 ? null : status,
    outcome,
    duration_ms: rounded(durationMs),
    ...(failure !== null && {
      connect_ms: msOrNull(failure.connectMs),
      connection_age_ms: msOrNull(failure.connectionAgeMs),
      request_sent: failure.isSent,
      body_bytes_sent: failure.bodyBytes,
    }),
  };
}

function msOrNull(ms: number): number | null {
  return ms < 0 ? null : rounded(ms);
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
