/** Where every request is counted and logged when it ends, whether or not a backend took part in it. */
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { grpcNumber } from '../../grpc-status.ts';
import { type Ending, endingOf } from '../../snapshot/endings.ts';
import type { Backend } from '../backend/backend.ts';
import type { CommonRules } from '../pool/common-rules.ts';
import type { PoolView } from '../pool/pool-view.ts';
import { NO_STATUS } from '../wire/grpc.ts';
import type { RequestFacts } from '../wire/request.ts';
import { type AccessLogEntry, type AttemptRecord, NO_HEADERS } from './access-log-entry.ts';
import type { DataContext } from './context.ts';
import type { IncomingRequest } from './incoming-request.ts';

export interface ExchangeOutcome {
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly error: ErrorCode | null;
  readonly errorDetail: string;
  readonly ended: Ending | null;
}

/** What the attempts of an exchange have to say when it ends: see attempts.ts. */
export interface Attempted {
  readonly view: PoolView;
  /** Of the last attempt; null when there was none. */
  readonly backend: Backend | null;
  readonly records: readonly AttemptRecord[];
  readonly queueMs: number;
  readonly connectMs: number;
  /** On the precise clock. */
  readonly startedAt: number;
  /** Negative: the phase was not reached. */
  readonly firstByteMs: number;
  /** When the last one ended; 0: none has. */
  readonly endedAt: number;
}

/** The end of a complete response that its client has yet to take. */
export interface Leaving {
  /** It tells the settlement what has become of it. */
  settleLater(settlement: Settlement): void;
}

/**
 * Of an exchange that is over, but for its client: logged once the rest of the answer has left, or is lost. It keeps nothing of the
 * exchange but its line. Its backend has counted it: whoever has its counters by then may be another.
 */
export class Settlement {
  readonly #context: DataContext;
  readonly #rules: CommonRules;
  readonly #entry: AccessLogEntry;

  constructor(context: DataContext, rules: CommonRules, entry: AccessLogEntry) {
    this.#context = context;
    this.#rules = rules;
    this.#entry = entry;
  }

  allHasLeft(): void {
    recordEnd(this.#context, this.#rules, this.#entry);
  }

  /** @param bytes of those that were counted as sent */
  isLost(bytes: number, error: ErrorCode, errorDetail: string): void {
    const { bytesOut, ...known } = this.#entry;
    // An answer of ours has an error already, which says more.
    const why = known.error === null ? { error, errorDetail } : {};
    const entry = { ...known, ...why, bytesOut: bytesOut - bytes, ended: endingOf(error) };
    recordEnd(this.#context, this.#rules, entry);
  }
}

/** @param leaving what of the answer waits for its client; null: nothing, or none of it will leave */
export function recordExchange(
  context: DataContext,
  attempted: Attempted,
  request: IncomingRequest,
  outcome: ExchangeOutcome,
  leaving: Leaving | null,
): void {
  const { view, backend } = attempted;
  request.mirror?.drop();
  const { facts, call } = request;
  const grpcStatus = call === null ? NO_STATUS : call.result(outcome.error, outcome.status);
  if (backend === null) {
    const { counters } = request.terms?.hasPool === false ? context : request.pool;
    counters.answeredAlone(outcome.status);
    if (call !== null) counters.callEnded(grpcStatus);
  } else if (call !== null) {
    backend.counters.callEnded(grpcStatus);
  }
  if (request.isCopy) {
    const { status, bytesIn, bytesOut } = outcome;
    const ms = (attempted.endedAt || performance.now()) - attempted.startedAt;
    backend?.counters.requestCompleted(status, ms / 1000, bytesIn, bytesOut);
    return;
  }
  const entry: AccessLogEntry = {
    clientAddress: request.clientAddress,
    method: facts.method,
    host: facts.host,
    path: request.path,
    protocol: request.protocol,
    status: outcome.status,
    grpcStatus,
    ended: outcome.ended,
    bytesIn: outcome.bytesIn,
    bytesOut: outcome.bytesOut,
    durationMs: (attempted.endedAt || performance.now()) - attempted.startedAt,
    queueMs: attempted.queueMs,
    connectMs: attempted.connectMs,
    firstByteMs: attempted.firstByteMs,
    route: request.route,
    split: request.part,
    pool: view.spec.name,
    backendUrl: backend === null ? null : backend.spec.url,
    attempts: attempted.records,
    requestId: request.requestId,
    error: outcome.error,
    errorDetail: outcome.errorDetail,
    trace: request.trace,
    userAgent: request.userAgent,
    referer: request.referer,
    headers: request.loggedHeaders,
  };
  if (backend !== null) countAt(backend, entry);
  request.routeCounters?.requestCompleted(entry.status, entry.durationMs / 1000);
  if (leaving === null) recordEnd(context, view.rules, entry);
  else leaving.settleLater(new Settlement(context, view.rules, entry));
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
  /** It was a call of gRPC, and was answered as one. */
  readonly isCall: boolean;
}

export function recordRefusal(
  context: DataContext,
  code: ErrorCode,
  detail: string,
  refused: Refused,
): void {
  const { status, message, grpc } = ERRORS[code];
  const said = detail === '' ? message : detail;
  if (!refused.isCall) {
    recordAlone(context, status, NO_STATUS, null, code, said, refused);
    return;
  }
  const grpcStatus = grpcNumber(grpc);
  context.counters.callEnded(grpcStatus);
  recordAlone(context, 200, grpcStatus, null, code, said, refused);
}

/** One that was answered without being an exchange, though nothing is wrong with it. */
export function recordAnswered(
  context: DataContext,
  status: number,
  { host }: RequestFacts,
  known: Refused,
): void {
  recordAlone(context, status, NO_STATUS, host, null, '', known);
}

function recordAlone(
  context: DataContext,
  status: number,
  grpcStatus: number,
  host: string | null,
  error: ErrorCode | null,
  errorDetail: string,
  known: Refused,
): void {
  context.counters.answeredAlone(status);
  recordEnd(context, context.view.rules, {
    ...known,
    host,
    status,
    grpcStatus,
    ended: null,
    durationMs: 0,
    queueMs: -1,
    connectMs: -1,
    firstByteMs: -1,
    route: null,
    split: null,
    pool: context.view.defaultPool.view.spec.name,
    backendUrl: null,
    attempts: [],
    error,
    errorDetail,
    trace: null,
    userAgent: null,
    referer: null,
    headers: NO_HEADERS,
  });
}

function countAt(
  { counters }: Backend,
  { status, durationMs, bytesIn, bytesOut }: AccessLogEntry,
): void {
  counters.requestCompleted(status, durationMs / 1000, bytesIn, bytesOut);
}

function recordEnd(context: DataContext, rules: CommonRules, entry: AccessLogEntry): void {
  const { accessLog } = rules;
  const { error, ended, trace } = entry;
  if (error !== null) {
    context.countError(error);
    context.failures.note(error, entry, context.nowMs);
  }
  if (ended !== null) context.counters.cutOff(ended);
  context.lastRequests.note(entry, context.nowMs);
  if (accessLog.isEnabled) context.accessLog.record(entry, accessLog);
  if (trace?.isRecorded === true) context.traces.record(entry, trace, rules);
}
