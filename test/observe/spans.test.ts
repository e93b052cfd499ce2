/** Spans as OpenTelemetry's semantic conventions for HTTP have them: names, kinds, statuses, attributes, times. */
import { describe, expect, test } from 'vitest';
import { type Span, spansOf } from '../../src/observe/spans.ts';
import type { KeptAttempt, RequestRecord } from '../../src/snapshot/kept-request.ts';
import type { TracedAttempt, TracedExchange } from '../../src/snapshot/traced-exchange.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const OWN = '00f067aa0ba902b7';
const SOURCE = {
  resource: { attributes: { 'service.name': 'edge' } },
  instrumentationScope: { name: 'fairlead', version: '1.0.0' },
};
const [UNSET, ERROR] = [0, 2];

interface Given {
  readonly exchange?: Partial<TracedExchange>;
  readonly request?: Partial<RequestRecord>;
  readonly attempts?: readonly TracedAttempt[];
}

function exchange({ exchange: more, request, attempts = [] }: Given = {}): TracedExchange {
  return {
    traceId: TRACE,
    spanId: OWN,
    parentId: null,
    flags: 1,
    state: '',
    scheme: 'http',
    userAgent: null,
    target: '/inside?a=1',
    startedAtMs: 1_700_000_000_123.25,
    grpcStatus: -1,
    request: {
      requestId: 'r1',
      clientAddress: '192.0.2.1',
      method: 'GET',
      host: 'shop.test',
      path: '/asked?a=1',
      protocol: 'HTTP/1.1',
      status: 200,
      ended: null,
      bytesIn: 0,
      bytesOut: 2,
      durationMs: 10,
      queueMs: -1,
      connectMs: -1,
      firstByteMs: 5,
      route: null,
      pool: 'default',
      attempts: [],
      error: null,
      errorDetail: '',
      ...request,
    },
    attempts,
    ...more,
  };
}

function attempt(spanId: string, startedAtMs: number, record: Partial<KeptAttempt> = {}) {
  return {
    spanId,
    startedAtMs,
    record: {
      backendUrl: 'http://10.0.0.1:8080',
      isHttp2: false,
      isReused: false,
      chosen: 'round-robin',
      status: 200,
      outcome: 'ok',
      durationMs: 5,
      failure: null,
      ...record,
    },
  };
}

function server(given: Given = {}): Span {
  return spansOf(exchange(given), SOURCE)[0] as Span;
}

function client(record: Partial<KeptAttempt>): Span {
  return spansOf(exchange({ attempts: [attempt('c1', 1, record)] }), SOURCE)[1] as Span;
}

describe('the span of a request', () => {
  test('has the trace, the parent and the source that it was given', () => {
    const span = server({ exchange: { parentId: PARENT, state: 'a=1' } });
    const { traceState, ...context } = span.spanContext();
    expect(context).toEqual({ traceId: TRACE, spanId: OWN, traceFlags: 1 });
    expect(traceState?.serialize()).toBe('a=1');
    expect(span.parentSpanContext).toMatchObject({ spanId: PARENT, isRemote: true });
    expect(span).toMatchObject(SOURCE);
    const root = server();
    expect(root).not.toHaveProperty('parentSpanContext');
    expect(root.spanContext()).not.toHaveProperty('traceState');
  });

  test('has times in seconds and nanoseconds, and ends with its last attempt at the earliest', () => {
    const { startTime, endTime, duration } = server();
    expect([startTime, endTime, duration]).toEqual([
      [1_700_000_000, 123_250_000],
      [1_700_000_000, 133_250_000],
      [0, 10_000_000],
    ]);
    const late = attempt('c1', 1_700_000_000_130, { durationMs: 5.5 });
    expect(server({ attempts: [late] }).endTime).toEqual([1_700_000_000, 135_500_000]);
    // A fraction that would be rounded up to a second.
    const [seconds, nanoseconds] = server({ exchange: { startedAtMs: 999.999_999_99 } }).startTime;
    expect([seconds, nanoseconds]).toEqual([0, 999_999_999]);
  });

  test.each([
    ['GET', 'GET', { 'http.request.method': 'GET' }],
    ['QUERY', 'QUERY', { 'http.request.method': 'QUERY' }],
    ['brew', 'HTTP', { 'http.request.method': '_OTHER', 'http.request.method_original': 'brew' }],
    [null, 'HTTP', { 'http.request.method': '_OTHER' }],
  ])('of the method %s is called %s', (method, name, attributes) => {
    const span = server({ request: { method } });
    expect(span.name).toBe(name);
    expect(span.attributes).toMatchObject(attributes);
    expect('http.request.method_original' in span.attributes).toBe(
      name === 'HTTP' && method !== null,
    );
    expect(server({ request: { method, route: 'routes.0' } }).name).toBe(`${name} routes.0`);
  });

  test.each([
    ['shop.test', 'shop.test', undefined],
    ['shop.test:8443', 'shop.test', 8443],
    ['[2001:db8::1]:80', '2001:db8::1', 80],
    ['[2001:db8::1]', '2001:db8::1', undefined],
    ['', undefined, undefined],
    [null, undefined, undefined],
    ['a:b:c', undefined, undefined],
  ])('for the host %s has the address %s and the port %s', (host, address, port) => {
    const { attributes } = server({ request: { host } });
    expect([attributes['server.address'], attributes['server.port']]).toEqual([address, port]);
  });

  test.each([
    ['/a', '/a', undefined],
    ['/a?', '/a', ''],
    ['/a?b=1?c', '/a', 'b=1?c'],
    // Its head could not be read: what is known is what would have been forwarded.
    [null, '/inside', 'a=1'],
  ])('of %s has the path %s and the query %s', (asked, path, query) => {
    const { attributes } = server({ request: { path: asked } });
    expect([attributes['url.path'], attributes['url.query']]).toEqual([path, query]);
  });

  test.each([
    ['HTTP/1.0', '1.0'],
    ['HTTP/1.1', '1.1'],
    ['HTTP/2.0', '2'],
    [null, '1.1'],
  ])('of %s is of version %s', (protocol, version) => {
    expect(server({ request: { protocol } }).attributes['network.protocol.version']).toBe(version);
  });

  test.each([
    ['an answer', { status: 200 }, {}, UNSET, undefined, 200],
    ['what the client got wrong', { status: 404 }, {}, UNSET, undefined, 404],
    ['a 500 of a backend', { status: 500 }, {}, ERROR, '500', 500],
    [
      'our own 502',
      { status: 502, error: 'ERR_BACKEND_CLOSED', errorDetail: 'it went away' },
      {},
      ERROR,
      'ERR_BACKEND_CLOSED',
      502,
    ],
    ['a refusal', { status: 400, error: 'ERR_BAD_PATH' }, {}, UNSET, 'ERR_BAD_PATH', 400],
    ['nothing was sent', { status: 499 }, {}, UNSET, undefined, undefined],
    ['a call that found nothing', {}, { grpcStatus: 5 }, UNSET, undefined, 200],
    ['a call that was not to be had', {}, { grpcStatus: 14 }, ERROR, '14', 200],
  ] as const)('of %s', (_what, request, more, code, type, status) => {
    const span = server({ request, exchange: more });
    expect(span.status.code).toBe(code);
    expect(span.attributes['error.type']).toBe(type);
    expect(span.attributes['http.response.status_code']).toBe(status);
  });

  test('says why it failed: in detail, or what the code means', () => {
    const error = 'ERR_BACKEND_CLOSED' as const;
    const detailed = server({ request: { status: 502, error, errorDetail: 'it went away' } });
    expect(detailed.status.message).toBe('it went away');
    expect(server({ request: { status: 502, error } }).status.message).toMatch(/\w/);
  });

  test('says what a name is known for: agent, queue, route, how it ended, a call', () => {
    const known = {
      'user_agent.original': 'shop/1',
      'http.route': 'routes.0',
      'fairlead.queue_ms': 3,
      'fairlead.ended': 'client_left',
      'rpc.system': 'grpc',
      'rpc.grpc.status_code': 0,
    };
    const { attributes } = server({
      exchange: { userAgent: 'shop/1', grpcStatus: 0 },
      request: { route: 'routes.0', queueMs: 3, ended: 'client_left' },
    });
    expect(attributes).toMatchObject(known);
    for (const name of Object.keys(known)) expect(server().attributes).not.toHaveProperty([name]);
  });
});

describe('the spans of attempts', () => {
  test('stand as they began, below the request, and count those before them', () => {
    const [first, second] = [attempt('c1', 5), attempt('c2', 3)];
    const [own, ...spans] = spansOf(exchange({ attempts: [first, second] }), SOURCE);
    expect(spans.map((span) => span.spanContext().spanId)).toEqual(['c2', 'c1']);
    for (const span of spans) {
      expect(span.parentSpanContext).toMatchObject({
        spanId: own?.spanContext().spanId,
        isRemote: false,
      });
    }
    expect(spans.map(({ attributes }) => attributes['http.request.resend_count'])).toEqual([
      undefined,
      1,
    ]);
  });

  test.each([
    ['http://10.0.0.1:8080', '10.0.0.1', 8080, 'http://10.0.0.1:8080/inside?a=1'],
    ['http://app.test', 'app.test', 80, 'http://app.test/inside?a=1'],
    ['https://app.test', 'app.test', 443, 'https://app.test/inside?a=1'],
    ['http://[::1]:80/', '::1', 80, 'http://[::1]:80/inside?a=1'],
    ['unix:/run/app.sock', '/run/app.sock', undefined, undefined],
  ])('at %s', (backendUrl, address, port, full) => {
    const { attributes } = client({ backendUrl });
    expect(attributes['server.address']).toBe(address);
    expect(attributes['server.port']).toBe(port);
    expect(attributes['url.full']).toBe(full);
    expect(attributes['network.transport']).toBe(port === undefined ? 'unix' : undefined);
  });

  test.each([
    [{ status: 200, outcome: 'ok' }, UNSET, undefined],
    [{ status: 404, outcome: 'ok' }, ERROR, '404'],
    [{ status: 503, outcome: 'ERR_BACKEND_STATUS' }, ERROR, 'ERR_BACKEND_STATUS'],
    [{ status: 0, outcome: 'ERR_BACKEND_REFUSED' }, ERROR, 'ERR_BACKEND_REFUSED'],
    [{ status: 0, outcome: 'called_off' }, UNSET, undefined],
  ])('that ended with %o', (record, code, type) => {
    const { status, attributes } = client(record);
    expect([status.code, attributes['error.type']]).toEqual([code, type]);
    expect(attributes['fairlead.called_off']).toBe(record.outcome === 'called_off' || undefined);
  });

  test('say which protocol, whether the connection was new, and why nothing followed', () => {
    const failure = {
      connectMs: 1,
      connectionAgeMs: 1,
      isSent: true,
      bodyBytes: 0,
      noRetry: 'not idempotent',
    };
    expect(client({ isHttp2: true, isReused: true, failure }).attributes).toMatchObject({
      'network.protocol.version': '2',
      'fairlead.connection.reused': true,
      'fairlead.no_retry': 'not idempotent',
    });
    expect(client({}).attributes).not.toHaveProperty(['fairlead.no_retry']);
  });
});
