import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';
import { type Metrics, renderPrometheus } from '../../src/observe/prometheus.ts';
import {
  BackendCounters,
  createBackendCounters,
  readBackendCounters,
} from '../../src/snapshot/counters.ts';
import {
  createPoolCounters,
  PoolCounters,
  readPoolCounters,
} from '../../src/snapshot/pool-counters.ts';
import { createProcessCounters } from '../../src/snapshot/process-cells.ts';
import { ProcessCounters } from '../../src/snapshot/process-counters.ts';
import {
  readHeaps,
  readLoopDelays,
  readProcessCounters,
} from '../../src/snapshot/process-totals.ts';
import {
  createRouteCounters,
  RouteCounters,
  readRouteCounters,
} from '../../src/snapshot/route-counters.ts';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The format's grammar, strictly: every sample belongs to a family with HELP and TYPE right before it. */
function parse(text: string): Sample[] {
  expect(text.endsWith('\n')).toBe(true);
  const samples: Sample[] = [];
  const seen = new Set<string>();
  let family = '';
  let type = '';
  let help = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'HELP') {
        expect(seen.has(name), `${name} twice`).toBe(false);
        seen.add(name);
        help = name;
      } else {
        expect(name).toBe(help);
        expect(['counter', 'gauge', 'histogram', 'summary']).toContain(rest);
        family = name;
        type = rest;
      }
      continue;
    }
    const match = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    const [, name = '', labelText = '', value = ''] = match;
    const suffixes = { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'] }[
      type
    ] ?? [''];
    expect(suffixes.map((suffix) => family + suffix)).toContain(name);
    const labels: Record<string, string> = {};
    for (const [, key = '', quoted = ''] of labelText.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[key] = quoted.replaceAll(/\\(.)/g, (_all, escaped: string) =>
        escaped === 'n' ? '\n' : escaped,
      );
    }
    expect(Number(value.replace('+Inf', 'Infinity'))).not.toBeNaN();
    samples.push({ name, labels, value: Number(value) });
  }
  const keys = samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
  expect(new Set(keys).size).toBe(keys.length);
  return samples;
}

function metrics(): Metrics {
  const url = 'http://localhost:8081';
  const counters = createBackendCounters(2);
  for (const thread of [0, 1]) {
    const writer = new BackendCounters(counters, thread, 2);
    writer.requestStarted();
    writer.tryOpenConnection(0);
    writer.requestCompleted(200, 0.004, 10, 20);
    writer.requestCompleted(502, 60, 1, 2);
    writer.callEnded(14);
    writer.attemptFailed();
    writer.requestCompleted(200, 0.3, 0, 0);
    writer.requestCompleted(200, 1.3, 0, 0);
    writer.attemptRetried('ERR_BACKEND_REFUSED');
  }
  new BackendCounters(counters, 0, 2).idleChanged(1);
  const process = createProcessCounters(2);
  for (const thread of [0, 1]) {
    const writer = new ProcessCounters(process, thread, 2);
    writer.tryAcceptClient(0);
    writer.answeredAlone(503);
    writer.callEnded(16);
    writer.failed(ERROR_CODES.indexOf('ERR_NO_BACKEND'));
    writer.logLinesDropped(3);
    writer.spansDropped(1);
    writer.loopIsLate({ p50: 0.001, p99: 0.01 + thread, max: 0.02 + thread }, 5_000 - thread * 900);
    writer.clientRefused('limit');
    writer.clientRefused('descriptors');
    writer.clientRefused('client');
    writer.clientRefused('client');
    writer.idleClientClosed('descriptors');
    writer.acceptFailed();
    writer.heapIs(3_000 + thread);
  }
  const pool = createPoolCounters(2);
  for (const thread of [0, 1]) {
    const writer = new PoolCounters(pool, thread, 2);
    for (const seconds of [0.5, 0.25]) {
      writer.tryEnqueue(10, true);
      writer.dequeued(seconds, true);
    }
    writer.tryEnqueue(10, true);
    writer.hedged();
    writer.callEnded(0);
    writer.retryRefused();
    writer.sessionEvicted();
    writer.rateEvicted();
    writer.rateLimited();
  }
  const totals = readBackendCounters(counters, 2);
  const route = createRouteCounters(2);
  for (const thread of [0, 1]) {
    new RouteCounters(route, thread).requestCompleted(404, 1.2);
    new RouteCounters(route, thread).requestCompleted(299, 20);
  }
  return {
    pools: [
      {
        name: 'default',
        isPanic: true,
        breaker: 'open',
        totals: readPoolCounters(pool, 2),
        backends: [
          {
            pool: 'default',
            url,
            isUp: true,
            isEligible: true,
            isEjected: false,
            ejections: { consecutive_failures: 2, failure_percent: 1 },
            breaker: 'half-open',
            totals,
            checksPassed: 5,
            checksFailed: 1,
            checksInconclusive: 2,
          },
          {
            pool: 'default',
            url: 'a "quoted" \\ name\nin two lines',
            isUp: false,
            isEligible: false,
            isEjected: true,
            ejections: { consecutive_failures: 0, failure_percent: 0 },
            breaker: 'closed',
            totals: readBackendCounters(createBackendCounters(2), 2),
            checksPassed: 0,
            checksFailed: 0,
            checksInconclusive: 0,
          },
        ],
      },
    ],
    routes: [{ name: 'routes.0', totals: readRouteCounters(route, 2) }],
    leftOut: { pools: 0, backends: 7 },
    process: readProcessCounters(process, 2),
    counterEngine: {
      isUp: true,
      counts: {
        granted: 7,
        refused: 2,
        found: 6,
        unknown: 5,
        timedOut: 3,
        failed: 1,
        seconds: 0.5,
        timesDown: 4,
      },
    },
    dataThreadDelays: readLoopDelays(process, 2, 5_100),
    dataThreadHeaps: readHeaps(process, 2),
    certificates: {
      own: [{ name: 'shop.test', file: '/certs/shop.crt', notAfterSeconds: 2_000_000_000 }],
      broken: 1,
      taken: 2,
      refused: 3,
      acme: {
        issued: 4,
        failed: 5,
        awaited: 1,
        failing: 2,
        asks: { allowed: 6, refused: 7, failed: 8, dropped: 9 },
      },
    },
    searches: [
      {
        pool: 'default',
        source: 'srv',
        isFailing: true,
        found: 3,
        isKept: true,
        successes: 7,
        faults: 2,
        lastSuccessSeconds: 2_000_000_000,
      },
    ],
    control: {
      version: '0.1.0',
      nodeVersion: 'v20.20.0',
      startedAtSeconds: 1000.5,
      cpuSeconds: 1.25,
      residentBytes: 1,
      heapUsedBytes: 2,
      openDescriptors: 30,
      maxDescriptors: 1024,
      eventLoopDelaySeconds: { p50: 0, p99: 0.001, max: 0.002 },
      dataThreads: 2,
      dataThreadRestarts: 1,
      reloadsSucceeded: 1,
      reloadsFailed: 0,
      lastReloadSeconds: undefined,
      isLastReloadGood: false,
      logLinesDropped: 4,
      spans: { exported: 5, failed: 1, dropped: 2 },
    },
  };
}

describe('the metrics page', () => {
  const samples = parse(renderPrometheus(metrics()));
  const value = (name: string, labels: Readonly<Record<string, string>> = {}): number | undefined =>
    samples.find(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    )?.value;
  const backend = 'http://localhost:8081';

  it('sums over the threads', () => {
    expect(value('fairlead_requests_total', { backend, code: '200', pool: 'default' })).toBe(6);
    expect(value('fairlead_requests_total', { backend, code: '502' })).toBe(2);
    expect(value('fairlead_requests_total', { backend: 'none', code: '503' })).toBe(2);
    expect(value('fairlead_backend_requests_in_flight', { backend })).toBe(2);
    expect(value('fairlead_backend_connections', { backend, state: 'active' })).toBe(1);
    expect(value('fairlead_backend_connections', { backend, state: 'idle' })).toBe(1);
    expect(value('fairlead_backend_failures_total', { backend })).toBe(2);
    const refused = 'ERR_BACKEND_REFUSED';
    expect(value('fairlead_retries_total', { backend, reason: refused })).toBe(2);
    expect(value('fairlead_retries_total', { backend, reason: 'ERR_BACKEND_DNS' })).toBe(0);
    expect(value('fairlead_backend_received_bytes_total', { backend })).toBe(22);
    expect(value('fairlead_backend_sent_bytes_total', { backend })).toBe(44);
    expect(value('fairlead_client_connections')).toBe(2);
    expect(value('fairlead_client_connections_total')).toBe(2);
    expect(value('fairlead_errors_total', { code: 'ERR_NO_BACKEND' })).toBe(2);
    expect(value('fairlead_errors_total', { code: 'ERR_BAD_HOST' })).toBe(0);
    expect(value('fairlead_log_lines_dropped_total')).toBe(10);
    expect(value('fairlead_spans_total', { result: 'dropped' })).toBe(4);
  });

  it('has the event-loop delay of each thread, of one as well that does not get to tell', () => {
    const delays = samples
      .filter(({ name }) => name === 'fairlead_event_loop_delay_seconds')
      .map(({ labels, value: seconds }) => [labels['thread'], labels['quantile'], seconds]);
    expect(delays).toEqual([
      ['control', '0.5', 0],
      ['control', '0.99', 0.001],
      ['control', '1', 0.002],
      ['0', '0.5', 0.001],
      ['0', '0.99', 0.01],
      ['0', '1', 0.02],
      ['1', '0.5', 0.001],
      ['1', '0.99', 1.01],
      ['1', '1', 1.02],
    ]);
    const process = createProcessCounters(1);
    new ProcessCounters(process, 0, 1).loopIsLate({ p50: 0, p99: 0, max: 0.5 }, 5_000);
    expect(readLoopDelays(process, 1, 5_200)).toEqual([{ p50: 0, p99: 0, max: 0.5 }]);
    expect(readLoopDelays(process, 1, 7_000)).toEqual([{ p50: 0, p99: 0, max: 2 }]);
    expect(readLoopDelays(createProcessCounters(1), 1, 7_000)).toEqual([
      { p50: 0, p99: 0, max: 0 },
    ]);
  });

  it('has a cumulative histogram that ends with its count', () => {
    const buckets = samples.filter(
      ({ name, labels }) =>
        name === 'fairlead_request_duration_seconds_bucket' && labels['backend'] === backend,
    );
    // Those of OpenTelemetry's conventions, and 0.3 and 1.2. What took as long as a bound is within it.
    expect(buckets.map((sample) => [sample.labels['le'], sample.value])).toEqual([
      ...['0.005', '0.01', '0.025', '0.05', '0.075', '0.1', '0.25'].map((le) => [le, 2]),
      ...['0.3', '0.5', '0.75', '1', '1.2'].map((le) => [le, 4]),
      ...['2.5', '5', '7.5', '10'].map((le) => [le, 6]),
      ['+Inf', 8],
    ]);
    expect(value('fairlead_request_duration_seconds_count', { backend })).toBe(8);
    expect(value('fairlead_request_duration_seconds_sum', { backend })).toBeCloseTo(123.208);
  });

  it('says how passive health, the breakers and the queue stand', () => {
    expect(value('fairlead_backend_eligible', { backend })).toBe(1);
    expect(value('fairlead_backend_ejected', { backend })).toBe(0);
    expect(value('fairlead_ejections_total', { backend, reason: 'consecutive_failures' })).toBe(2);
    expect(value('fairlead_ejections_total', { backend, reason: 'failure_percent' })).toBe(1);
    expect(value('fairlead_breaker_state', { backend })).toBe(1);
    expect(value('fairlead_pool_breaker_state', { pool: 'default' })).toBe(2);
    expect(value('fairlead_pool_panic')).toBe(1);
    expect(value('fairlead_queue_depth')).toBe(2);
    expect(value('fairlead_queue_wait_seconds_count')).toBe(4);
    expect(value('fairlead_queue_wait_seconds_sum')).toBe(1.5);
    expect(value('fairlead_hedges_total')).toBe(2);
    expect(value('fairlead_retries_refused_total')).toBe(2);
    expect(value('fairlead_sessions_evicted_total')).toBe(2);
    expect(value('fairlead_rate_limits_evicted_total')).toBe(2);
    expect(value('fairlead_rate_limited_requests_total')).toBe(2);
  });

  it('has the requests of each route', () => {
    const route = 'routes.0';
    expect(value('fairlead_route_requests_total', { route, code: '404' })).toBe(2);
    expect(value('fairlead_route_requests_total', { route, code: '299' })).toBe(2);
    const bucket = 'fairlead_route_request_duration_seconds_bucket';
    expect(value(bucket, { route, le: '1' })).toBe(0);
    expect(value(bucket, { route, le: '1.2' })).toBe(2);
    expect(value('fairlead_route_request_duration_seconds_count', { route })).toBe(4);
    expect(value('fairlead_route_request_duration_seconds_sum', { route })).toBeCloseTo(42.4);
  });

  it('has the heap of each thread, and says how much has no series', () => {
    expect(value('fairlead_heap_used_bytes', { thread: 'control' })).toBe(2);
    expect(value('fairlead_heap_used_bytes', { thread: '0' })).toBe(3_000);
    expect(value('fairlead_heap_used_bytes', { thread: '1' })).toBe(3_001);
    expect(value('fairlead_metrics_left_out', { kind: 'pool' })).toBe(0);
    expect(value('fairlead_metrics_left_out', { kind: 'backend' })).toBe(7);
  });

  it('escapes label values', () => {
    expect(value('fairlead_backend_up', { backend: 'a "quoted" \\ name\nin two lines' })).toBe(0);
    expect(value('fairlead_backend_up', { backend })).toBe(1);
  });

  it('leaves out what has not happened', () => {
    expect(value('fairlead_reload_last_success_timestamp_seconds')).toBeUndefined();
    expect(value('fairlead_config_last_reload_successful')).toBe(0);
    expect(value('fairlead_health_checks_total', { backend, result: 'fail' })).toBe(1);
    expect(value('fairlead_build_info', { version: '0.1.0', node: 'v20.20.0' })).toBe(1);
  });

  it('has calls of gRPC by status, wherever they have ended', () => {
    const calls = samples.filter(({ name }) => name === 'fairlead_grpc_calls_total');
    expect(calls.map((sample) => [sample.labels, sample.value])).toEqual([
      [{ pool: 'default', backend, grpc_status: '14' }, 2],
      [{ pool: 'default', backend: 'none', grpc_status: '0' }, 2],
      [{ pool: 'none', backend: 'none', grpc_status: '16' }, 2],
    ]);
  });
});
