/** From the keys of the health check of a pool to `HealthCheckSettings`, and what has no effect. */

import type { HealthCheckSettings } from '../settings.ts';
import { formatDuration } from '../values/duration.ts';
import type { Report } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

const DEFAULT_DOWN_INTERVAL_MS = 1000;
const DEFAULT_TIMEOUT_MS = 5000;

/** Whoever gives one of them has a page in mind. */
const OF_A_PAGE = [
  'health_check_path',
  'health_check_expect_status',
  'health_check_expect_body',
] as const;

/** What has no effect with these methods. */
const IDLE_KEYS = {
  http: ['health_check_service'],
  auto: ['health_check_service'],
  tcp: [
    'health_check_host',
    'health_check_headers',
    'health_check_expect_status',
    'health_check_expect_body',
    'health_check_service',
  ],
  grpc: ['health_check_path', 'health_check_expect_status', 'health_check_expect_body'],
} as const;

type KeyOfMethod = (typeof IDLE_KEYS)['tcp' | 'grpc'][number];

const DEFAULT_PATH = '/health';

export function compileHealthCheck(
  view: PoolView,
  tls: HealthCheckSettings['tls'],
  report: Report,
): HealthCheckSettings {
  const { config, isGiven } = view;
  const frequencyMs = config.health_check_frequency;
  const hasPage = OF_A_PAGE.some((key) => isGiven([key]));
  const method = config.health_check_method ?? (hasPage ? 'http' : 'auto');
  noteOnFrequencies(view, report);
  const settings: HealthCheckSettings = {
    method,
    path: config.health_check_path,
    host: config.health_check_host ?? '',
    port: config.health_check_port ?? 0,
    headers: Object.entries(config.health_check_headers),
    expectStatus: config.health_check_expect_status,
    expectBody: config.health_check_expect_body ?? '',
    service: config.health_check_service ?? '',
    intervalMs: frequencyMs,
    downIntervalMs:
      config.health_check_down_frequency ?? Math.min(frequencyMs, DEFAULT_DOWN_INTERVAL_MS),
    timeoutMs: config.health_check_timeout ?? Math.min(DEFAULT_TIMEOUT_MS, frequencyMs),
    isLenient: config.lenient_responses,
    tls,
    protocol: config.protocol,
    proxyVersion: config.send_proxy_protocol || null,
    rise: config.health_check_rise,
    fall: config.health_check_fall,
  };
  noteOnMethod(view, settings, report);
  return settings;
}

/** Not of what says the default: a printed config spells that out. */
function noteOnMethod(view: PoolView, settings: HealthCheckSettings, report: Report): void {
  const { path, host, headers, expectStatus, expectBody, service } = settings;
  const isDefault: Readonly<Record<KeyOfMethod, boolean>> = {
    health_check_path: path === DEFAULT_PATH,
    health_check_host: host === '',
    health_check_headers: headers.length === 0,
    health_check_expect_status: formatStatuses(expectStatus).join() === '200-299',
    health_check_expect_body: expectBody === '',
    health_check_service: service === '',
  };
  const method = view.keyOf(['health_check_method']);
  for (const key of IDLE_KEYS[settings.method]) {
    if (isDefault[key] || !view.isGiven([key])) continue;
    report.note(`${view.keyOf([key])} has no effect while ${method} is ${settings.method}`);
  }
}

function noteOnFrequencies({ config, keyOf }: PoolView, report: Report): void {
  const { health_check_frequency: upMs, health_check_down_frequency: downMs = 0 } = config;
  if (downMs <= upMs) return;
  const [up, down] = [keyOf(['health_check_frequency']), keyOf(['health_check_down_frequency'])];
  report.note(
    `${down} is longer than ${up}, which is ${formatDuration(upMs)}: what is down is checked less often than what is up, and comes back late`,
  );
}

/** As a config has them. */
export function formatStatuses(ranges: HealthCheckSettings['expectStatus']): (number | string)[] {
  return ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`));
}
