/**
 * An exchange as spans: one for the request, and one for each attempt. Names and attributes are those of OpenTelemetry's semantic
 * conventions for HTTP (and of RPC for what a call of gRPC ends with); what they have no name for begins with `fairlead.`.
 */
import { ERRORS, type ErrorCode } from '../errors.ts';
import type { TracedAttempt, TracedExchange } from '../snapshot/traced-exchange.ts';

type Time = [seconds: number, nanoseconds: number];
type Attributes = Record<string, string | number | boolean>;

interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean;
  readonly traceState?: { serialize(): string };
}

/** Whose spans they are. */
export interface SpanSource {
  readonly resource: { readonly attributes: Attributes };
  readonly instrumentationScope: { readonly name: string; readonly version: string };
}

/** A `ReadableSpan` of OpenTelemetry, as its exporters take it. */
export interface Span extends SpanSource {
  readonly name: string;
  readonly kind: number;
  spanContext(): SpanContext;
  readonly parentSpanContext?: SpanContext;
  readonly startTime: Time;
  readonly endTime: Time;
  readonly duration: Time;
  readonly status: { readonly code: number; readonly message?: string };
  readonly attributes: Attributes;
  readonly links: never[];
  readonly events: never[];
  readonly ended: true;
  readonly droppedAttributesCount: 0;
  readonly droppedEventsCount: 0;
  readonly droppedLinksCount: 0;
}

// As in @opentelemetry/api.
const SERVER = 1;
const CLIENT = 2;
const UNSET = 0;
const ERROR = 2;

/** Every other one is `_OTHER`: clients make no names. */
const METHODS: ReadonlySet<string> = new Set(
  'CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE'.split(' '),
);
/** Statuses of a call that are the server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const CALL_FAULTS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);
/** Nothing was sent: see access-log-entry.ts. */
const NOTHING_SENT = 499;

/** The span of the request first, then those of its attempts as they began. */
export function spansOf(exchange: TracedExchange, source: SpanSource): Span[] {
  const attempts = exchange.attempts.toSorted((a, b) => a.startedAtMs - b.startedAtMs);
  return [
    serverSpan(exchange, source),
    ...attempts.map((attempt, index) => clientSpan(exchange, attempt, index, source)),
  ];
}

function serverSpan(exchange: TracedExchange, source: SpanSource): Span {
  const { request, parentId, grpcStatus, target, userAgent } = exchange;
  const { status, error, route, ended, queueMs } = request;
  const method = methodOf(request.method);
  const isSent = status !== NOTHING_SENT;
  const isFailed =
    CALL_FAULTS.has(grpcStatus) ||
    (error === null ? isSent && status >= 500 : ERRORS[error].source !== 'client');
  const [path, query] = parted(request.path ?? target);
  return span(exchange, exchange.spanId, source, {
    name: `${method.name}${route === null ? '' : ` ${route}`}`,
    kind: SERVER,
    parentId,
    startedAtMs: exchange.startedAtMs,
    // The clock of an attempt begins a moment later.
    endedAtMs: Math.max(
      exchange.startedAtMs + request.durationMs,
      ...exchange.attempts.map(({ startedAtMs, record }) => startedAtMs + record.durationMs),
    ),
    status: isFailed
      ? { code: ERROR, ...(error !== null && { message: messageOf(error, request.errorDetail) }) }
      : { code: UNSET },
    attributes: {
      ...method.attributes,
      'url.scheme': exchange.scheme,
      'url.path': path,
      ...(query !== undefined && { 'url.query': query }),
      ...hostOf(request.host),
      'client.address': request.clientAddress,
      'network.protocol.name': 'http',
      'network.protocol.version': versionOf(request.protocol),
      ...(userAgent !== null && { 'user_agent.original': userAgent }),
      ...(route !== null && { 'http.route': route }),
      ...statusOf(isSent ? status : 0),
      ...(grpcStatus >= 0 && { 'rpc.system': 'grpc', 'rpc.grpc.status_code': grpcStatus }),
      ...errorOf(error, isFailed, CALL_FAULTS.has(grpcStatus) ? grpcStatus : status),
      'fairlead.pool': request.pool,
      'fairlead.request_id': request.requestId,
      ...(ended !== null && { 'fairlead.ended': ended }),
      ...(queueMs >= 0 && { 'fairlead.queue_ms': queueMs }),
    },
  });
}

function clientSpan(
  exchange: TracedExchange,
  { spanId, startedAtMs, record }: TracedAttempt,
  index: number,
  source: SpanSource,
): Span {
  const method = methodOf(exchange.request.method);
  const isCalledOff = record.outcome === 'called_off';
  const error = record.outcome === 'ok' || isCalledOff ? null : (record.outcome as ErrorCode);
  const isFailed = error !== null || record.status >= 400;
  const noRetry = record.failure?.noRetry ?? null;
  return span(exchange, spanId, source, {
    name: method.name,
    kind: CLIENT,
    parentId: exchange.spanId,
    startedAtMs,
    endedAtMs: startedAtMs + record.durationMs,
    status: { code: isFailed ? ERROR : UNSET },
    attributes: {
      ...method.attributes,
      ...backendOf(record.backendUrl, exchange.target),
      'network.protocol.name': 'http',
      'network.protocol.version': record.isHttp2 ? '2' : '1.1',
      ...statusOf(record.status),
      ...(index > 0 && { 'http.request.resend_count': index }),
      ...errorOf(error, isFailed, record.status),
      'fairlead.backend': record.backendUrl,
      'fairlead.chosen': record.chosen,
      'fairlead.connection.reused': record.isReused,
      ...(isCalledOff && { 'fairlead.called_off': true }),
      ...(noRetry !== null && { 'fairlead.no_retry': noRetry }),
    },
  });
}

interface SpanParts extends Pick<Span, 'name' | 'kind' | 'status' | 'attributes'> {
  readonly parentId: string | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

function span(
  { traceId, flags, state, parentId: remoteId }: TracedExchange,
  spanId: string,
  source: SpanSource,
  { parentId, startedAtMs, endedAtMs, ...rest }: SpanParts,
): Span {
  const trace = {
    traceId,
    traceFlags: flags,
    ...(state !== '' && { traceState: { serialize: () => state } }),
  };
  return {
    ...rest,
    ...source,
    spanContext: () => ({ ...trace, spanId }),
    ...(parentId !== null && {
      parentSpanContext: { ...trace, spanId: parentId, isRemote: parentId === remoteId },
    }),
    startTime: timeOf(startedAtMs),
    endTime: timeOf(endedAtMs),
    duration: timeOf(endedAtMs - startedAtMs),
    links: [],
    events: [],
    ended: true,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function timeOf(ms: number): Time {
  const seconds = Math.floor(ms / 1e3);
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1e3) * 1e6))];
}

function methodOf(method: string | null): { name: string; attributes: Attributes } {
  if (method !== null && METHODS.has(method)) {
    return { name: method, attributes: { 'http.request.method': method } };
  }
  return {
    name: 'HTTP',
    attributes: {
      'http.request.method': '_OTHER',
      ...(method !== null && { 'http.request.method_original': method }),
    },
  };
}

function parted(target: string): [path: string, query: string | undefined] {
  const mark = target.indexOf('?');
  return mark === -1 ? [target, undefined] : [target.slice(0, mark), target.slice(mark + 1)];
}

/** As a Host field has it: `[::1]:8080`. */
function hostOf(host: string | null): Attributes {
  const [, literal, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(host ?? '') ?? [];
  const address = literal ?? name ?? '';
  if (address === '') return {};
  return {
    'server.address': address,
    ...(port !== undefined && { 'server.port': Number(port) }),
  };
}

function versionOf(protocol: string | null): string {
  const version = (protocol ?? 'HTTP/1.1').slice('HTTP/'.length);
  return version === '2.0' ? '2' : version;
}

/** 0: no answer came. */
function statusOf(status: number): Attributes {
  return status === 0 ? {} : { 'http.response.status_code': status };
}

function errorOf(error: ErrorCode | null, isFailed: boolean, status: number): Attributes {
  if (error === null && !isFailed) return {};
  return { 'error.type': error ?? String(status) };
}

function messageOf(error: ErrorCode, detail: string): string {
  return detail === '' ? ERRORS[error].message : detail;
}

/** @param url of a unix socket as well: `unix:/run/app.sock` */
function backendOf(url: string, target: string): Attributes {
  if (!/^https?:/.test(url)) {
    return { 'server.address': url.replace(/^unix:/, ''), 'network.transport': 'unix' };
  }
  const { hostname, port, protocol } = new URL(url);
  return {
    'server.address': hostname.replace(/^\[|\]$/g, ''),
    'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    'url.full': `${url.replace(/\/$/, '')}${target}`,
  };
}
