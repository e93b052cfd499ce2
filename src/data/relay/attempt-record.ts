/** What is kept of an attempt that is over. */
import type { ErrorCode } from '../../errors.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendStream } from '../backend/backend-stream.ts';
import type { AttemptRecord } from './access-log-entry.ts';
import type { Chosen } from './chosen.ts';
import type { Judgement } from './judgement.ts';
import type { AttemptSpan } from './trace.ts';

interface EndedAttempt {
  readonly backend: Backend;
  readonly judgement: Judgement;
  readonly chosen: Chosen;
  readonly connectMs: number;
  readonly isSent: boolean;
  /** Null: nobody records it. */
  readonly span: AttemptSpan | null;
}

/** @param bodyBytes of the request’s body that were sent. @param now on the precise clock */
export function recordOf(
  { backend, judgement: { status }, chosen, connectMs, isSent, span }: EndedAttempt,
  { isHttp2, isReused, openedAtMs }: BackendStream,
  failure: ErrorCode | null,
  durationMs: number,
  bodyBytes: number,
  now: number,
): AttemptRecord {
  const record: AttemptRecord = {
    backendUrl: backend.spec.url,
    isHttp2,
    isReused,
    chosen,
    status,
    // Without a failure and without an answer, another attempt was quicker.
    outcome: failure ?? (status === 0 ? 'called_off' : 'ok'),
    durationMs,
    failure:
      failure === null
        ? null
        : {
            connectMs,
            connectionAgeMs: openedAtMs === 0 ? -1 : now - openedAtMs,
            isSent,
            bodyBytes,
            noRetry: null,
          },
  };
  if (span !== null) span.end(record);
  return record;
}
