/** What the log of a request tells, as the control plane is told of it. */
import type { RequestRecord } from '../../snapshot/kept-request.ts';
import type { AccessLogEntry } from './access-log-entry.ts';
import type { Redaction } from './redaction.ts';

/** Of a text that a client has chosen, so much is kept. */
export const MOST_LENGTH = 2048;

export function recordOf(entry: AccessLogEntry, redaction: Redaction): RequestRecord {
  return {
    requestId: entry.requestId,
    clientAddress: entry.clientAddress,
    method: entry.method,
    host: entry.host,
    path: entry.path === null ? null : redaction.of(entry.path.slice(0, MOST_LENGTH)),
    protocol: entry.protocol,
    status: entry.status,
    ended: entry.ended,
    bytesIn: entry.bytesIn,
    bytesOut: entry.bytesOut,
    durationMs: entry.durationMs,
    queueMs: entry.queueMs,
    connectMs: entry.connectMs,
    firstByteMs: entry.firstByteMs,
    route: entry.route,
    pool: entry.pool,
    attempts: entry.attempts,
    error: entry.error,
    errorDetail: entry.errorDetail,
  };
}
